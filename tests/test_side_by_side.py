"""GridSearchCV and RandomizedSearchCV beside scikit-learn's, on the same call: no difference.

Each entry of CALLS is one way to use a search; each is run with both classes, with one worker and
with two, ours and scikit-learn's, and everything but the times must be equal.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.model_selection as sk
from scipy.stats import loguniform, randint, uniform
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification, make_regression
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, PredefinedSplit, RepeatedKFold, ShuffleSplit
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KernelDensity, KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import sksearch

X, Y = make_classification(n_samples=90, n_features=6, n_informative=4, n_classes=3, random_state=0)
X_REG, Y_REG = make_regression(n_samples=80, n_features=5, noise=3.0, random_state=0)
GROUPS = np.arange(90) % 6
WEIGHT = np.linspace(0.1, 2.0, 90)
TEXTS = [" ".join(np.random.default_rng(i).choice(["red", "blue", "cat", "dog", "sun"], 6)) for i in range(60)]
TEXT_LABELS = np.array([int("cat" in text) for text in TEXTS])


class Fragile(ClassifierMixin, BaseEstimator):
    """Raises in fit, or returns what it is told to as its score."""

    def __init__(self, mode: str = "fine", level: float = 0.0) -> None:
        self.mode = mode
        self.level = level

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Fragile:
        if self.mode == "raise":
            raise ValueError("this one fails")
        if self.mode == "some" and X[0, 0] > 0:
            raise ValueError("this fold fails")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.resize(self.classes_, len(X))

    def score(self, X: Any, y: Any) -> float:
        return {"nan": np.nan, "inf": np.inf}.get(self.mode, self.level)


def two_scores(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    predicted = estimator.predict(X)
    return {"right": float(np.mean(predicted == y)), "wrong": float(np.mean(predicted != y))}


def broken_scorer(estimator: Any, X: Any, y: Any) -> float:
    if estimator.C > 1:
        raise ValueError("no score for this one")
    return float(estimator.score(X, y))


def simplest(results: dict[str, Any]) -> int:
    good = results["mean_test_score"] >= results["mean_test_score"].max() - results["std_test_score"].max()
    return int(np.flatnonzero(good)[0])


@dataclass
class Call:
    """One call of a search."""

    estimator: Any
    grid: Any
    distributions: Any = None
    data: tuple[Any, ...] = (X, Y)
    keywords: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    routing: bool = False
    make: Callable[[], dict[str, Any]] | None = None
    """Keywords that are used up by one call, such as a generator."""


def routed(estimator: Any, **requests: Any) -> Any:
    with sklearn.config_context(enable_metadata_routing=True):
        return estimator.set_fit_request(**requests)


def routed_scorer() -> Any:
    with sklearn.config_context(enable_metadata_routing=True):
        return make_scorer(accuracy_score).set_score_request(sample_weight=True)


def routed_splitter() -> Any:
    return GroupKFold(3)


C3 = {"C": [0.1, 1.0, 10.0]}
C_LOG = {"C": loguniform(1e-2, 1e2)}
TREE = {"max_depth": [1, 2, None], "min_samples_leaf": [1, 5]}
FAILING = {"mode": ["fine", "raise", "nan", "some"], "level": [0.2, 0.8]}

CALLS: dict[str, Call] = {
    "plain": Call(SVC(), {**C3, "gamma": [0.01, 0.1]}, {**C_LOG, "gamma": loguniform(1e-3, 1)}),
    "list of dicts": Call(
        SVC(),
        [{"kernel": ["linear"], **C3}, {"kernel": ["rbf"], "gamma": [0.1, 1.0]}],
        [{"kernel": ["linear"], **C_LOG}, {"kernel": ["rbf"], "gamma": uniform(0, 1)}],
    ),
    "sequences of values": Call(
        KNeighborsClassifier(), {"n_neighbors": np.arange(1, 6), "weights": ("uniform", "distance")}
    ),
    "integers drawn": Call(KNeighborsClassifier(), {"n_neighbors": range(1, 4)}, {"n_neighbors": randint(1, 20)}),
    "None among values": Call(DecisionTreeClassifier(random_state=0), TREE),
    "groups": Call(SVC(), C3, C_LOG, keywords={"cv": GroupKFold(3)}, fit={"groups": GROUPS}),
    "leave one group out": Call(SVC(), C3, C_LOG, keywords={"cv": LeaveOneGroupOut()}, fit={"groups": GROUPS}),
    "sample_weight": Call(LogisticRegression(), C3, C_LOG, fit={"sample_weight": WEIGHT}),
    "sample_weight, scorer without": Call(
        LogisticRegression(),
        C3,
        C_LOG,
        keywords={"scoring": two_scores, "refit": "right"},
        fit={"sample_weight": WEIGHT},
    ),
    "fit parameter of a step": Call(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0]},
        {"logisticregression__C": loguniform(1e-2, 1e2)},
        fit={"logisticregression__sample_weight": WEIGHT},
    ),
    "fit parameter that is not by row": Call(DecisionTreeClassifier(random_state=0), TREE, fit={"check_input": True}),
    "routing: sample_weight": Call(
        routed(LogisticRegression(), sample_weight=True),
        C3,
        C_LOG,
        keywords={"scoring": routed_scorer()},
        fit={"sample_weight": WEIGHT},
        routing=True,
    ),
    "routing: groups": Call(SVC(), C3, C_LOG, keywords={"cv": routed_splitter()}, fit={"groups": GROUPS}, routing=True),
    "routing: pipeline": Call(
        make_pipeline(routed(StandardScaler(), sample_weight=False), routed(LogisticRegression(), sample_weight=True)),
        {"logisticregression__C": [0.1, 1.0]},
        keywords={"scoring": routed_scorer()},
        fit={"sample_weight": WEIGHT},
        routing=True,
    ),
    "scoring by name": Call(SVC(), C3, C_LOG, keywords={"scoring": "f1_macro"}),
    "scoring by list": Call(SVC(), C3, C_LOG, keywords={"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"}),
    "scoring by tuple": Call(SVC(), C3, C_LOG, keywords={"scoring": ("accuracy", "f1_macro"), "refit": False}),
    "scoring by dict": Call(
        SVC(), C3, C_LOG, keywords={"scoring": {"a": "accuracy", "b": make_scorer(accuracy_score)}, "refit": "b"}
    ),
    "scoring by callable": Call(SVC(), C3, C_LOG, keywords={"scoring": lambda e, X, y: float(e.score(X, y)) / 2}),
    "scoring by callable with dict": Call(SVC(), C3, C_LOG, keywords={"scoring": two_scores, "refit": "right"}),
    "scoring by callable with dict, no refit": Call(SVC(), C3, C_LOG, keywords={"scoring": two_scores, "refit": False}),
    "scorer that fails": Call(SVC(), C3, C_LOG, keywords={"scoring": broken_scorer}),
    "multimetric scorer that fails": Call(
        SVC(), C3, C_LOG, keywords={"scoring": {"good": "accuracy", "bad": broken_scorer}, "refit": "good"}
    ),
    "refit callable": Call(SVC(), C3, C_LOG, keywords={"refit": simplest}),
    "refit callable, several metrics": Call(
        SVC(),
        C3,
        C_LOG,
        keywords={"scoring": ["accuracy", "f1_macro"], "refit": lambda r: int(r["mean_test_f1_macro"].argmin())},
    ),
    "refit False": Call(SVC(), C3, C_LOG, keywords={"refit": False}),
    "train scores": Call(SVC(), C3, C_LOG, keywords={"return_train_score": True}),
    "train scores, several metrics": Call(
        SVC(),
        C3,
        C_LOG,
        keywords={"return_train_score": True, "scoring": ["accuracy", "f1_macro"], "refit": "accuracy"},
    ),
    "failures as nan": Call(Fragile(), FAILING),
    "failures as number": Call(Fragile(), FAILING, keywords={"error_score": -1.0, "return_train_score": True}),
    "infinite scores": Call(Fragile(), {"mode": ["fine", "inf", "nan"], "level": [0.1, 0.4]}),
    "failures, callable with dict": Call(
        Fragile(), {"mode": ["raise", "fine"], "level": [0.1]}, keywords={"scoring": two_scores, "refit": "right"}
    ),
    "failures, several metrics": Call(
        Fragile(), FAILING, keywords={"scoring": ["accuracy", "f1_macro"], "refit": "accuracy", "error_score": 0.0}
    ),
    "precomputed kernel": Call(SVC(kernel="precomputed"), C3, C_LOG, data=(rbf_kernel(X), Y)),
    "precomputed distances": Call(
        KNeighborsClassifier(metric="precomputed"), {"n_neighbors": [1, 3, 5]}, data=(np.abs(X[:, :1] - X[:, 0]), Y)
    ),
    "precomputed in a pipeline": Call(
        Pipeline([("svc", SVC(kernel="precomputed"))]), {"svc__C": [0.1, 1.0]}, data=(rbf_kernel(X), Y)
    ),
    "sparse": Call(LinearSVC(random_state=0), C3, C_LOG, data=(sp.csr_matrix(X), Y)),
    "sparse array, csc": Call(LinearSVC(random_state=0), C3, C_LOG, data=(sp.csc_array(X), Y)),
    "pandas": Call(
        make_pipeline(
            ColumnTransformer([("n", StandardScaler(), ["a", "b"]), ("c", OneHotEncoder(), ["c"])]),
            LogisticRegression(),
        ),
        {"logisticregression__C": [0.1, 1.0], "columntransformer__n__with_mean": [True, False]},
        {"logisticregression__C": loguniform(1e-2, 1e2)},
        data=(
            pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": np.array(["u", "v", "w"])[np.arange(90) % 3]}),
            pd.Series(Y),
        ),
    ),
    "polars": Call(
        SVC(), C3, C_LOG, data=(pl.DataFrame(X, schema=[f"f{i}" for i in range(6)]), pl.Series("target", Y))
    ),
    "texts in a list": Call(
        make_pipeline(CountVectorizer(), MultinomialNB()),
        {"countvectorizer__binary": [True, False], "multinomialnb__alpha": [0.1, 1.0]},
        {"multinomialnb__alpha": uniform(0.1, 2)},
        data=(TEXTS, TEXT_LABELS),
    ),
    "lists": Call(GaussianNB(), {"var_smoothing": [1e-9, 1e-2]}, data=(X.tolist(), Y.tolist())),
    "no y": Call(KMeans(n_init=1, random_state=0), {"n_clusters": [2, 3, 4]}, {"n_clusters": randint(2, 6)}, data=(X,)),
    "no y, density": Call(KernelDensity(), {"bandwidth": [0.5, 1.0]}, {"bandwidth": uniform(0.5, 1)}, data=(X,)),
    "regression": Call(Ridge(), {"alpha": [0.1, 1.0]}, {"alpha": loguniform(1e-3, 10)}, data=(X_REG, Y_REG)),
    "several outputs, regression": Call(
        DecisionTreeRegressor(random_state=0), TREE, data=(X_REG, np.column_stack([Y_REG, -Y_REG]))
    ),
    "several outputs, classes": Call(
        MultiOutputClassifier(LogisticRegression()),
        {"estimator__C": [0.1, 1.0]},
        {"estimator__C": loguniform(1e-2, 1e2)},
        data=(X, np.column_stack([Y, Y[::-1]])),
        keywords={"cv": 3},
    ),
    "labels that are strings": Call(SVC(), C3, C_LOG, data=(X, np.array(["x", "y", "z"])[Y])),
    "splits that differ at each call": Call(
        SVC(), C3, C_LOG, make=lambda: {"cv": ShuffleSplit(4, random_state=np.random.RandomState(7))}
    ),
    "a generator of splits": Call(SVC(), C3, C_LOG, make=lambda: {"cv": KFold(3).split(X, Y)}),
    "a list of splits": Call(SVC(), C3, C_LOG, keywords={"cv": [(np.arange(0, 60), np.arange(60, 90))]}),
    "boolean masks as splits": Call(
        SVC(), C3, C_LOG, keywords={"cv": [(np.arange(90) % 3 != i, np.arange(90) % 3 == i) for i in range(3)]}
    ),
    "repeated splits": Call(SVC(), C3, C_LOG, keywords={"cv": RepeatedKFold(n_splits=2, n_repeats=2, random_state=1)}),
    "a predefined split": Call(SVC(), C3, C_LOG, keywords={"cv": PredefinedSplit(np.where(np.arange(90) < 60, -1, 0))}),
    "estimators as values": Call(
        Pipeline([("prepare", StandardScaler()), ("model", SVC())]),
        [
            {"prepare": [StandardScaler(), PCA(3), "passthrough", None], "model": [SVC(), LogisticRegression()]},
            {"model": [RandomForestClassifier(5, random_state=0)], "model__max_depth": [2, 4]},
        ],
    ),
    "functions as values": Call(
        make_pipeline(FunctionTransformer(), SVC()), {"functiontransformer__func": [np.abs, np.tanh, None]}
    ),
    "tuples and lists as values": Call(
        make_pipeline(CountVectorizer(), MultinomialNB()),
        {
            "countvectorizer__ngram_range": [(1, 1), (1, 2)],
            "countvectorizer__stop_words": [None, ["cat"], ["dog", "sun"]],
        },
        data=(TEXTS, TEXT_LABELS),
    ),
    "a random state object in the estimator": Call(
        RandomForestClassifier(4, random_state=np.random.RandomState(3)), {"max_depth": [1, 3]}
    ),
    "a search inside a pipeline step": Call(
        make_pipeline(StandardScaler(), sk.GridSearchCV(SVC(), {"C": [0.1, 1.0]}, cv=2)),
        {"standardscaler__with_mean": [True, False]},
    ),
}

CLASSES = {
    "grid": (sksearch.GridSearchCV, sk.GridSearchCV),
    "randomized": (sksearch.RandomizedSearchCV, sk.RandomizedSearchCV),
}


def run(search_class: Any, call: Call, space: Any, keywords: dict[str, Any]) -> tuple[Any, list[str]]:
    """The fitted search, and its warnings but those that come from inside fits."""
    keywords = {"cv": 3, **call.keywords, **keywords, **(call.make() if call.make else {})}
    with warnings.catch_warnings(record=True) as caught, sklearn.config_context(enable_metadata_routing=call.routing):
        warnings.simplefilter("always")
        search = search_class(sklearn.base.clone(call.estimator), space, **keywords).fit(*call.data, **call.fit)
    said = [str(w.message) for w in caught if "fits failed" in str(w.message) or "non-finite" in str(w.message)]
    return search, said


def assert_same(ours: Any, theirs: Any) -> None:
    """All but times is equal: keys in their order, dtypes, masks, values."""
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for key, expected in theirs.cv_results_.items():
        got = ours.cv_results_[key]
        assert type(got) is type(expected), key
        if key == "params":
            assert [sorted(params) for params in got] == [sorted(params) for params in expected]
            assert repr(got) == repr(expected)
            continue
        assert got.dtype == expected.dtype, key
        if key.endswith("_time"):
            assert np.all(got >= 0), key
        elif key.startswith("param_"):
            np.testing.assert_array_equal(np.ma.getmaskarray(got), np.ma.getmaskarray(expected), err_msg=key)
            assert repr(got.tolist()) == repr(expected.tolist()), key
        else:
            np.testing.assert_array_equal(got, expected, err_msg=key)
    attributes = ["best_index_", "best_score_", "best_params_", "n_splits_", "multimetric_"]
    for name in attributes:
        assert hasattr(ours, name) == hasattr(theirs, name), name
        if hasattr(theirs, name):
            assert repr(getattr(ours, name)) == repr(getattr(theirs, name)), name
    for name in ("best_estimator_", "refit_time_", "scorer_", "classes_", "n_features_in_", "feature_names_in_"):
        assert hasattr(ours, name) == hasattr(theirs, name), name
    assert type(ours.scorer_) is type(theirs.scorer_)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("name", CALLS)
def test_same_results_as_scikit_learn(name: str, kind: str, n_jobs: int) -> None:
    call = CALLS[name]
    our_class, their_class = CLASSES[kind]
    space, keywords = call.grid, {}
    if kind == "randomized":
        space, keywords = call.distributions or call.grid, {"n_iter": 4, "random_state": 5}
    theirs, they_said = run(their_class, call, space, {**keywords, "n_jobs": 1})
    # Processes for the calls that pickle: a lambda as scorer travels by cloudpickle.
    with joblib.parallel_config(backend="loky"):
        ours, we_said = run(our_class, call, space, {**keywords, "n_jobs": n_jobs})
    assert_same(ours, theirs)
    assert [text.splitlines()[0:2] for text in we_said] == [text.splitlines()[0:2] for text in they_said]
    if hasattr(theirs, "best_estimator_") and hasattr(theirs, "predict"):
        np.testing.assert_array_equal(ours.predict(call.data[0]), theirs.predict(call.data[0]))


def test_the_table_is_long_enough() -> None:
    assert len(CALLS) >= 40


@pytest.mark.parametrize("random_state", [0, 7, np.int64(3)])
@pytest.mark.parametrize("n_iter", [1, 5, 30])
def test_randomized_search_draws_scikit_learns_candidates(random_state: int, n_iter: int) -> None:
    space = [{"C": loguniform(1e-3, 1e3), "kernel": ["rbf", "linear"]}, {"degree": randint(1, 9), "kernel": ["poly"]}]
    ours = sksearch.RandomizedSearchCV(Fragile(), space, n_iter=n_iter, random_state=random_state)
    drawn = list(sk.ParameterSampler(space, n_iter, random_state=random_state))
    ours.set_params(estimator=AnyParams(), refit=False, cv=2).fit(X, Y)
    assert ours.cv_results_["params"] == drawn


class AnyParams(ClassifierMixin, BaseEstimator):
    """Takes the parameters of the space above, and does nothing with them."""

    def __init__(self, C: float = 1.0, kernel: str = "", degree: int = 1) -> None:
        self.C, self.kernel, self.degree = C, kernel, degree

    def fit(self, X: Any, y: Any) -> AnyParams:
        self.classes_ = np.unique(y)
        return self

    def score(self, X: Any, y: Any) -> float:
        return float(self.C)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_error_score_raise_lets_the_error_through(n_jobs: int) -> None:
    search = sksearch.GridSearchCV(Fragile(), {"mode": ["fine", "raise"]}, error_score="raise", n_jobs=n_jobs)
    with pytest.raises(ValueError, match="this one fails"):
        search.fit(X, Y)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("kind", CLASSES)
def test_all_failing_raises_what_scikit_learn_raises(kind: str, n_jobs: int) -> None:
    messages = []
    for search_class in CLASSES[kind]:
        with pytest.raises(ValueError, match="All the 6 fits failed") as caught:
            search_class(
                Fragile(),
                {"mode": ["raise"], "level": [0.1, 0.2]},
                cv=3,
                n_jobs=n_jobs,
                **({"n_iter": 2} if kind == "randomized" else {}),
            ).fit(X, Y)
        messages.append(str(caught.value).split("Traceback")[0])
    assert messages[0] == messages[1]
