"""What all four searches promise, seen from outside: their own results against scikit-learn's cross_validate."""

from __future__ import annotations

import math
import os
import pickle
import pydoc
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.model_selection as sk
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.cluster import KMeans
from sklearn.datasets import (
    load_diabetes,
    load_iris,
    make_classification,
    make_multilabel_classification,
    make_regression,
)
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor, VotingClassifier
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_info, threadpool_limits

from sksearch import BayesSearchCV, GridSearchCV, HyperbandSearchCV, RandomizedSearchCV
from sksearch.selection import one_standard_error, posterior_mean
from sksearch.space import Categorical, Integer, Real

X, Y = make_classification(n_samples=90, n_features=6, n_informative=4, n_classes=3, random_state=0)
X_REG, Y_REG = make_regression(n_samples=80, n_features=5, noise=3.0, random_state=0)
GROUPS = np.arange(90) % 6
WEIGHT = np.linspace(0.1, 2.0, 90)
TEXTS = [" ".join(np.random.default_rng(i).choice(["red", "blue", "cat", "dog", "sun"], 6)) for i in range(60)]
TEXT_LABELS = np.array([int("cat" in text) for text in TEXTS])
ADAPTIVE = {
    "bayes": lambda estimator, space, **kw: BayesSearchCV(estimator, space, **{"n_iter": 9, **kw}),
    "hyperband": lambda estimator, space, **kw: HyperbandSearchCV(
        estimator, space, **{"resource": "n_samples", "min_resources": 20, "n_candidates": 6, **kw}
    ),
}
ALL: dict[str, Any] = {
    "grid": GridSearchCV,
    "randomized": lambda estimator, space, **kw: RandomizedSearchCV(estimator, space, **{"n_iter": 3, **kw}),
    **ADAPTIVE,
}


class Sleepy(ClassifierMixin, BaseEstimator):
    """A score that depends on its parameters alone, after a sleep that depends on nothing."""

    def __init__(self, a: float = 0.5, b: str = "x", n_steps: int = 9) -> None:
        self.a, self.b, self.n_steps = a, b, n_steps

    def fit(self, X: Any, y: Any) -> Sleepy:
        self.classes_ = np.unique(y)
        time.sleep(0.01 * np.random.default_rng().random())
        return self

    def score(self, X: Any, y: Any) -> float:
        return -((self.a - 0.3) ** 2) + 0.1 * (self.b == "y") - 0.2 / self.n_steps + 1e-3 * float(X[0, 0])


class Fragile(ClassifierMixin, BaseEstimator):
    """Fails in a way that its parameters tell."""

    def __init__(self, a: float = 0.5, mode: str = "fine", n_steps: int = 9) -> None:
        self.a, self.mode, self.n_steps = a, mode, n_steps

    def fit(self, X: Any, y: Any) -> Fragile:
        self.classes_ = np.unique(y)
        if self.mode == "raise":
            raise ValueError("this one fails")
        return self

    def score(self, X: Any, y: Any) -> float:
        return {"nan": np.nan, "inf": np.inf, "fine": self.a}[self.mode]


class NeverFitted(ClassifierMixin, BaseEstimator):
    """Must not be reached by a search that refuses its arguments."""

    def __init__(self, a: float = 0.5, b: Any = None, n_steps: int = 9) -> None:
        self.a, self.b, self.n_steps = a, b, n_steps

    def fit(self, X: Any, y: Any = None) -> NeverFitted:
        pytest.fail("a fit was started although the arguments are unusable")

    def score(self, X: Any, y: Any) -> float:
        return 0.0


def untimed(results: dict[str, Any]) -> str:
    """`cv_results_` without the times, comparable as text."""
    return repr({key: np.asarray(value).tolist() for key, value in results.items() if "time" not in key})


# --- determinism ----------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["bayes", "async", "hyperband"])
def test_a_seeded_search_is_the_same_on_threads_and_processes_twice(schedule: str) -> None:
    space = {"a": uniform(0, 1), "b": ["x", "y", "z"]}
    seen = set()
    for backend in ("threading", "loky", "threading", "loky"):
        search: Any = BayesSearchCV(Sleepy(), space, n_iter=20, cv=3, n_jobs=2, random_state=3)
        if schedule != "bayes":
            search = HyperbandSearchCV(
                Sleepy(), space, resource="n_steps", schedule=schedule, cv=3, n_jobs=2, random_state=3
            )
        with joblib.parallel_config(backend=backend):
            search.fit(X, Y)
        seen.add((untimed(search.cv_results_), repr(search.best_params_), search.stop_reason_))
    assert len(seen) == 1


def test_a_seeded_search_is_the_same_in_another_process() -> None:
    code = """
    import numpy as np
    from scipy.stats import loguniform
    from sklearn.datasets import load_iris
    from sklearn.svm import SVC
    from sksearch import BayesSearchCV
    X, y = load_iris(return_X_y=True)
    space = {"C": loguniform(1e-3, 1e3), "gamma": loguniform(1e-3, 1e3)}
    search = BayesSearchCV(SVC(), space, n_iter=14, random_state=5)
    print(search.fit(X, y).cv_results_["params"])
    """
    outputs = {
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("kind", ["bayes", "hyperband"])
def test_other_seeds_give_other_trials(kind: str) -> None:
    drawn = [
        ADAPTIVE[kind](Sleepy(), {"a": uniform(0, 1)}, random_state=seed, cv=2).fit(X, Y).cv_results_["params"][1:]
        for seed in (0, 1, None)
    ]
    assert len(set(map(repr, drawn))) == 3


# --- evaluation: every row against scikit-learn's cross_validate ----------------------------------


def routed(estimator: Any) -> Any:
    with sklearn.config_context(enable_metadata_routing=True):
        return estimator.set_fit_request(sample_weight=True)


def routed_scorer() -> Any:
    with sklearn.config_context(enable_metadata_routing=True):
        return make_scorer(accuracy_score).set_score_request(sample_weight=True)


C = {"C": loguniform(1e-2, 1e2)}
CASES: dict[str, dict[str, Any]] = {
    "plain": {"estimator": SVC(), "space": {**C, "kernel": ["rbf", "linear"]}},
    "conditional": {
        "estimator": Pipeline([("scale", StandardScaler()), ("model", SVC())]),
        "space": [
            {"model": [SVC()], "model__C": loguniform(1e-2, 1e2)},
            {"model": [DecisionTreeClassifier(random_state=0)], "model__max_depth": [1, 2, 3, None]},
            {"scale": ["passthrough", StandardScaler()], "model": [LogisticRegression()]},
        ],
    },
    "groups": {"estimator": SVC(), "space": C, "cv": GroupKFold(3), "fit": {"groups": GROUPS}},
    "sample_weight": {"estimator": LogisticRegression(), "space": C, "fit": {"sample_weight": WEIGHT}},
    "routing": {
        "estimator": routed(LogisticRegression()),
        "space": C,
        "fit": {"sample_weight": WEIGHT},
        "scoring": routed_scorer(),
        "routing": True,
    },
    "several metrics": {
        "estimator": SVC(),
        "space": C,
        "scoring": ["accuracy", "f1_macro"],
        "refit": "f1_macro",
    },
    "several metrics, no refit": {"estimator": SVC(), "space": C, "scoring": ["accuracy", "f1_macro"], "refit": False},
    "train scores": {"estimator": SVC(), "space": C, "return_train_score": True},
    "precomputed kernel": {"estimator": SVC(kernel="precomputed"), "space": C, "X": rbf_kernel(X)},
    "sparse": {"estimator": LogisticRegression(), "space": C, "X": sp.csr_matrix(X)},
    "pandas": {"estimator": SVC(), "space": C, "X": pd.DataFrame(X), "y": pd.Series(Y)},
    "polars": {"estimator": SVC(), "space": C, "X": pl.DataFrame(X, schema=list("abcdef")), "y": pl.Series(Y)},
    "texts": {
        "estimator": make_pipeline(CountVectorizer(), MultinomialNB()),
        "space": {
            "multinomialnb__alpha": uniform(0.1, 2),
            "countvectorizer__ngram_range": [(1, 1), (1, 2), (2, 2)],
        },
        "X": TEXTS,
        "y": TEXT_LABELS,
    },
    "no y": {
        "estimator": KMeans(n_init=1, random_state=0),
        "space": {"n_clusters": randint(2, 8)},
        "y": None,
        "cv": KFold(3),
    },
    "several outputs": {
        "estimator": DecisionTreeRegressor(random_state=0),
        "space": {"max_depth": [1, 2, 3, 4, None], "min_samples_leaf": randint(1, 9)},
        "X": X_REG,
        "y": np.column_stack([Y_REG, -Y_REG]),
        "cv": KFold(3),
    },
    "string labels": {"estimator": SVC(), "space": C, "y": np.array(["u", "v", "w"])[Y]},
    "boolean masks as splits": {
        "estimator": SVC(),
        "space": C,
        "cv": [(np.arange(90) % 3 != i, np.arange(90) % 3 == i) for i in range(3)],
    },
}


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("kind", ADAPTIVE)
@pytest.mark.parametrize("name", CASES)
def test_each_full_trial_scores_what_cross_validate_says(name: str, kind: str, n_jobs: int) -> None:
    case = {"X": X, "y": Y, "cv": StratifiedKFold(3), "fit": {}, "routing": False, **CASES[name]}
    keywords = {key: case[key] for key in ("scoring", "refit", "return_train_score") if key in case}
    estimator, groups = case["estimator"], case["fit"].get("groups")
    data = (case["X"], case["y"])
    with sklearn.config_context(enable_metadata_routing=case["routing"]):
        search = ADAPTIVE[kind](
            clone(estimator), case["space"], cv=case["cv"], n_jobs=n_jobs, random_state=0, **keywords
        ).fit(*data, **case["fit"])
        results = search.cv_results_
        full = np.flatnonzero(results["status"] == "ok")
        assert len(full) >= 1
        for row in full:
            model = clone(estimator).set_params(**clone(results["params"][row], safe=False))
            passed = {"params": case["fit"]} if case["routing"] else {"groups": groups}
            if name == "sample_weight":  # what scikit-learn does with it differs from release to release
                theirs = sk.GridSearchCV(model, {"C": [model.C]}, cv=case["cv"]).fit(*data, **case["fit"]).cv_results_
                expected = {"test_score": np.array([theirs[f"split{fold}_test_score"][0] for fold in range(3)])}
            else:
                truth = cross_validate(
                    model,
                    *data,
                    cv=case["cv"],
                    scoring=case.get("scoring"),
                    return_train_score=case.get("return_train_score", False),
                    **passed,
                )
                expected = {key: value for key, value in truth.items() if key.startswith(("test_", "train_"))}
            for key, folds in expected.items():
                got = [results[f"split{fold}_{key}"][row] for fold in range(3)]
                np.testing.assert_array_equal(got, folds, err_msg=f"{key} of {results['params'][row]}")


def test_a_warm_started_forest_scores_as_one_fitted_at_once() -> None:
    forest = RandomForestClassifier(n_estimators=27, random_state=0)
    space = {"max_depth": randint(1, 9)}
    search = HyperbandSearchCV(forest, space, min_resources=1, cv=3, n_jobs=2, random_state=0).fit(X, Y)
    assert search.resource_ == "n_estimators"
    results = search.cv_results_
    for row, (params, n_resources) in enumerate(zip(results["params"], results["n_resources"], strict=True)):
        model = clone(forest).set_params(n_estimators=int(n_resources), **params)
        expected = cross_val_score(model, X, Y, cv=3)
        scores = np.array([results[f"split{fold}_test_score"][row] for fold in range(3)])
        assert np.isnan(scores).any() == (results["status"][row] == "pruned")
        np.testing.assert_array_equal(scores[~np.isnan(scores)], expected[~np.isnan(scores)])
    assert (results["n_splits_done"] < 3).any()
    assert len(search.best_estimator_.estimators_) == 27
    expected_best = clone(forest).set_params(**search.best_params_).fit(X, Y)
    np.testing.assert_array_equal(search.predict_proba(X), expected_best.predict_proba(X))


def test_splits_are_made_once_even_by_a_splitter_that_never_repeats_itself() -> None:
    search = BayesSearchCV(SVC(), C, n_iter=6, cv=ShuffleSplit(2, random_state=np.random.RandomState(0)))
    results = search.set_params(random_state=0, prune_folds=False).fit(X, Y).cv_results_
    splits = list(ShuffleSplit(2, random_state=np.random.RandomState(0)).split(X))
    for row, params in enumerate(results["params"]):
        expected = [SVC(**params).fit(X[train], Y[train]).score(X[test], Y[test]) for train, test in splits]
        assert [results[f"split{fold}_test_score"][row] for fold in range(2)] == expected


# --- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("error_score", [np.nan, 5.0])
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("kind", ADAPTIVE)
def test_failing_trials_do_not_stop_a_search_nor_win_it(kind: str, n_jobs: int, error_score: float) -> None:
    space = {"a": uniform(0, 1), "mode": ["fine", "raise", "nan", "inf"]}
    keywords: dict[str, Any] = {"cv": 2, "n_jobs": n_jobs, "random_state": 1, "error_score": error_score}
    search: Any = BayesSearchCV(Fragile(), space, n_iter=24, **keywords)
    if kind == "hyperband":
        search = HyperbandSearchCV(Fragile(), space, resource="n_steps", **keywords)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, Y)
    results = search.cv_results_
    mode = results["param_mode"].data
    failed = results["status"] == "failed"
    np.testing.assert_array_equal(failed, mode != "fine")
    assert 0.1 < failed.mean() < 0.9
    complete = (results["status"] == "ok").nonzero()[0]
    best = max(complete, key=lambda row: results["param_a"][row])
    assert search.best_index_ == best
    assert search.best_params_["mode"] == "fine"
    assert results["rank_test_score"][failed].min() > results["rank_test_score"][~failed].max()
    shown = results["mean_test_score"][mode == "raise"]
    np.testing.assert_array_equal(shown, np.full(len(shown), error_score))


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("kind", ALL)
def test_a_search_in_which_everything_fails_raises(kind: str, n_jobs: int) -> None:
    search = ALL[kind](Fragile(), {"mode": ["raise"], "a": [0.1, 0.2, 0.3]}, cv=2, n_jobs=n_jobs)
    with pytest.raises(ValueError, match=r"All the \d+ fits failed.(.|\n)*this one fails"):
        search.fit(X, Y)


@pytest.mark.parametrize("kind", ALL)
def test_error_score_raise_raises(kind: str) -> None:
    search = ALL[kind](Fragile(), {"mode": ["raise"], "a": [0.1, 0.2, 0.3]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="this one fails"):
        search.fit(X, Y)


class FailsAtTheFifthFit(Fragile):
    fits = 0

    def fit(self, X: Any, y: Any) -> FailsAtTheFifthFit:
        type(self).fits += 1
        if self.fits >= 5:
            raise ValueError("the fifth one fails")
        return super().fit(X, y)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("kind", ALL)
def test_an_exception_keeps_what_was_completed(kind: str, n_jobs: int) -> None:
    FailsAtTheFifthFit.fits = 0
    space = {"a": [0.01 * number for number in range(1, 9)]}
    search = ALL[kind](FailsAtTheFifthFit(), space, cv=2, n_jobs=n_jobs, error_score="raise")
    with joblib.parallel_config(backend="threading"), pytest.raises(ValueError, match="the fifth one fails"):
        search.fit(X, Y)
    assert search.stop_reason_ == "interrupted"
    tried = search.cv_results_["params"]
    assert 1 <= len(tried) == len({entry["trial"] for entry in search.history_}) <= 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_ in tried
    with pytest.raises(NotFittedError):
        search.score(X, Y)


class FailsSoonOrLate(BaseEstimator):
    """One candidate in ten survives its first pass, and none its last."""

    def __init__(self, a: float = 0.5, last: int = 2) -> None:
        self.a, self.last = a, last

    def fit(self, X: Any, y: Any) -> FailsSoonOrLate:
        raise AssertionError  # it grows by passes

    def partial_fit(self, X: Any, y: Any) -> FailsSoonOrLate:
        self.n_ = getattr(self, "n_", 0) + 1
        if int(1e6 * self.a) % 10 or self.n_ == self.last:
            raise ValueError("this pass fails")
        return self

    def score(self, X: Any, y: Any) -> float:
        return self.a * (1 - 1 / (1 + self.n_)) + 0.01 * float(X[0, 0])


@pytest.mark.filterwarnings("ignore:.*scores are non-finite", "ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.parametrize(
    ("schedule", "last", "n_candidates", "seed"),
    [("async", 2, 40, 3), ("async", 2, 40, 4), ("async", 2, 40, 9), ("hyperband", 4, 80, 1), ("hyperband", 4, 80, 10)],
)
def test_a_search_of_which_the_last_complete_candidate_fails_comes_to_its_end(
    schedule: str, last: int, n_candidates: int, seed: int
) -> None:
    """The model has learnt from candidates that have all failed since, with more passes."""
    search = HyperbandSearchCV(
        FailsSoonOrLate(last=last),
        {"a": uniform(0, 1)},
        schedule=schedule,
        n_candidates=n_candidates,
        max_resources=9,
        cv=5,
        refit=False,
        random_state=seed,
    ).fit(X, Y)
    assert search.stop_reason_ in {"budget", "exhausted"}
    assert len(search.cv_results_["params"]) > 20
    none_is_left = set(search.cv_results_["status"]) == {"failed"}
    assert hasattr(search, "best_params_") != none_is_left


@pytest.mark.filterwarnings("ignore:.*scores are non-finite", "ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.parametrize("scoring", [None, lambda model, X, y: {"s": 0.5, "t": 1.0}], ids=["score", "callable"])
def test_a_failed_candidate_is_not_the_best_of_failed_ones(scoring: Any) -> None:
    """All were promoted, and failed with more resource, so that no score is left but `error_score`."""
    search = HyperbandSearchCV(
        FailsSoonOrLate(a=0.5, last=2),
        {"a": [0.5]},
        scoring=scoring,
        refit="s" if scoring else True,
        n_candidates=1,
        max_resources=9,
        error_score=7.0,
        cv=3,
    )
    with pytest.raises(ValueError, match=r"All 1 candidates failed.* none is best; cv_results_ .* Lower max_resources"):
        search.fit(X, Y)
    name = "s" if scoring else "score"
    assert search.cv_results_[f"mean_test_{name}"].tolist() == [7.0]
    assert [row["status"] for row in search.history_] == ["ok", "failed"]
    assert not hasattr(search, "best_score_")


class Deadly(ClassifierMixin, BaseEstimator):
    """Takes its process down when `a` is 3."""

    def __init__(self, a: int = 0) -> None:
        self.a = a

    def fit(self, X: Any, y: Any) -> Deadly:
        self.classes_ = np.unique(y)
        if self.a == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return self

    def predict(self, X: Any) -> Any:
        return np.resize(self.classes_, len(X))


def test_a_fit_that_kills_its_worker_is_a_failed_one() -> None:
    keywords: dict[str, Any] = {"scoring": ["accuracy", "f1_macro"], "refit": "accuracy", "return_train_score": True}
    search = GridSearchCV(Deadly(), {"a": [1, 2, 3, 4]}, cv=2, n_jobs=2, error_score=-1.0, **keywords)
    with pytest.warns(FitFailedWarning, match="worker process died"):
        search.fit(X, Y)
    for key in ("test_accuracy", "train_f1_macro"):
        np.testing.assert_array_equal(search.cv_results_[f"mean_{key}"] == -1.0, [False, False, True, False])
    with pytest.raises(RuntimeError, match="worker process died"):
        search.set_params(error_score="raise", param_grid={"a": [3]}).fit(X, Y)


class HalfScored(ClassifierMixin, BaseEstimator):
    """Its score is negative, and for small `a` there is none."""

    def __init__(self, a: float = 0.5, n_steps: int = 9) -> None:
        self.a, self.n_steps = a, n_steps

    def fit(self, X: Any, y: Any) -> HalfScored:
        self.classes_ = np.unique(y)
        return self

    def score(self, X: Any, y: Any) -> float:
        if self.a < 0.5:
            raise ValueError("no score")
        return -1.0 - self.a


@pytest.mark.filterwarnings("ignore:Scoring failed")
@pytest.mark.parametrize("kind", ADAPTIVE)
def test_a_scorer_that_raises_makes_a_failed_trial_even_if_error_score_is_the_largest_number(kind: str) -> None:
    keywords: dict[str, Any] = {"cv": 2, "error_score": 5.0, "random_state": 0}
    search: Any = BayesSearchCV(HalfScored(), {"a": uniform()}, n_iter=12, **keywords)
    if kind == "hyperband":
        search = HyperbandSearchCV(HalfScored(), {"a": uniform()}, resource="n_steps", **keywords)
    results = search.fit(X, Y).cv_results_
    np.testing.assert_array_equal(results["status"] == "failed", results["param_a"].data < 0.5)
    np.testing.assert_array_equal(results["mean_test_score"] == 5.0, results["param_a"].data < 0.5)
    assert search.best_params_["a"] >= 0.5
    assert (results["status"] == "failed").any()


def _scores_by_name(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    return {"one": estimator.score(X, y), "two": 0.0}


@pytest.mark.filterwarnings("ignore:Scoring failed", "ignore:One or more of the .* scores are non-finite")
@pytest.mark.parametrize("error_score", [math.nan, -9.0])
def test_a_callable_of_several_scores_that_raises_for_some_candidates_costs_these_alone(error_score: float) -> None:
    """scikit-learn's own search ends with an error after all fits, and has none of them."""
    search = GridSearchCV(
        HalfScored(),
        {"a": [0.2, 0.6, 0.8]},
        scoring=_scores_by_name,
        refit="one",
        cv=2,
        error_score=error_score,
        return_train_score=True,
    ).fit(X, Y)
    for part in ("mean_test", "mean_train"):
        np.testing.assert_array_equal(search.cv_results_[f"{part}_one"], [error_score, -1.6, -1.8])
        np.testing.assert_array_equal(search.cv_results_[f"{part}_two"], [error_score, 0.0, 0.0])
    assert search.best_params_ == {"a": 0.6}


def test_scores_that_are_no_failure_are_not_taken_for_one() -> None:
    """A callable that gives a number for some candidates and names for others is an error, as in scikit-learn."""

    def scores(estimator: Any, X: Any, y: Any) -> Any:
        score = estimator.score(X, y)
        return {"one": score} if estimator.a < 0.7 else score

    with pytest.raises(TypeError):
        GridSearchCV(Sleepy(), {"a": [0.6, 0.8]}, scoring=scores, refit="one", cv=2).fit(X, Y)


# --- Ctrl-C ----------------------------------------------------------------------------------------


class Interrupted(ClassifierMixin, BaseEstimator):
    """Ctrl-C arrives when `a` reaches 3."""

    def __init__(self, a: int = 0) -> None:
        self.a = a

    def fit(self, X: Any, y: Any) -> Interrupted:
        self.classes_ = np.unique(y)
        if self.a == 3:
            raise KeyboardInterrupt
        return self

    def predict(self, X: Any) -> Any:
        return np.resize(self.classes_, len(X))

    def score(self, X: Any, y: Any) -> float:
        return float(self.a)


def test_ctrl_c_keeps_what_was_completed_and_propagates() -> None:
    search = GridSearchCV(Interrupted(), {"a": [0, 2, 1, 3, 4]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert search.cv_results_["params"] == [{"a": 0}, {"a": 2}, {"a": 1}]
    assert search.best_params_ == {"a": 2}
    assert search.best_score_ == 2.0
    assert search.stop_reason_ == "interrupted"
    assert len(search.history_) == 3
    assert callable(search.scorer_)
    with pytest.raises(NotFittedError):
        search.predict(X)
    assert search.set_params(param_grid={"a": [1, 2]}).fit(X, Y).predict(X).shape == Y.shape


class InterruptedRefit(Interrupted):
    """Ctrl-C arrives when it is fitted on all data."""

    def fit(self, X: Any, y: Any) -> InterruptedRefit:
        if len(X) == len(globals()["X"]):
            raise KeyboardInterrupt
        return super().fit(X, y)


def test_ctrl_c_during_the_refit_keeps_the_search() -> None:
    search = GridSearchCV(Interrupted(), {"a": [0, 1]}, cv=2).fit(X, Y)
    with pytest.raises(KeyboardInterrupt):
        search.set_params(estimator=InterruptedRefit(), param_grid={"a": [0, 2, 1]}).fit(X, Y)
    assert search.cv_results_["params"] == [{"a": 0}, {"a": 2}, {"a": 1}]
    assert search.best_params_ == {"a": 2}
    assert (search.stop_reason_, len(search.history_)) == ("interrupted", 3)
    with pytest.raises(NotFittedError):
        search.predict(X)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    "where",
    [
        "sksearch.estimators.base.SearchTasks.end_search",
        "sksearch.estimators.base.as_records",
        "sksearch.estimators.base.raise_or_warn_about_failures",
        "sksearch.estimators.base.SearchCV._set_best",
        "sksearch.spool.remove_folder",
    ],
)
def test_ctrl_c_after_the_last_fit_keeps_all_of_them(kind: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is computed then, and only waits to be written down."""
    if "spool" in where and kind != "hyperband":
        return
    owner, name = pydoc.locate(where.rpartition(".")[0]), where.rpartition(".")[2]
    as_it_is = getattr(owner, name)

    def interrupted(*arguments: Any, **keywords: Any) -> Any:
        monkeypatch.setattr(owner, name, as_it_is)
        as_it_is(*arguments, **keywords)
        raise KeyboardInterrupt

    space = {"C": [0.1, 1.0, 10.0]}
    complete = ALL[kind](SVC(), space, cv=2, random_state=0) if kind in ADAPTIVE else ALL[kind](SVC(), space, cv=2)
    search = clone(complete)
    complete.fit(X, Y)
    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert search.cv_results_["params"] == complete.cv_results_["params"]
    assert search.cv_results_["mean_test_score"].tolist() == complete.cv_results_["mean_test_score"].tolist()
    assert (search.best_params_, len(search.history_)) == (complete.best_params_, len(complete.history_))
    assert search.stop_reason_ == "interrupted"
    with pytest.raises(NotFittedError):
        search.predict(X)


@pytest.mark.parametrize("kind", ["grid", "hyperband"])  # bayes: where folds are pruned
def test_sigint_stops_the_workers_of_a_running_search(kind: str, tmp_path: Path) -> None:
    code = """
    import sys, time, numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sksearch import GridSearchCV, HyperbandSearchCV
    class Slow(ClassifierMixin, BaseEstimator):
        def __init__(self, a=0.0, n=9, file=""):
            self.a, self.n, self.file = a, n, file
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            time.sleep(0.02)
            with open(self.file, "ab") as file:
                file.write(b".")
            return self
        def score(self, X, y):
            return self.a
    if __name__ == "__main__":
        slow, grid = Slow(file=sys.argv[2]), {"a": list(np.linspace(0, 1, 4000))}
        search = {
            "grid": GridSearchCV(slow, grid, cv=2, n_jobs=2),
            "hyperband": HyperbandSearchCV(slow, grid, resource="n", cv=2, n_jobs=2, n_candidates=4000),
        }[sys.argv[1]]
        try:
            search.fit(np.zeros((20, 2)), [0, 1] * 10)
        except KeyboardInterrupt:
            results = search.cv_results_
            print("kept", len(results["params"]), search.best_params_ in results["params"], flush=True)
    """
    log = tmp_path / "fits"
    log.touch()
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), kind, str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while log.stat().st_size < 60 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert out.split()[0:1] == ["kept"], error
    _, rows, best = out.split()
    fits = log.stat().st_size
    assert fits // 2 - 30 <= int(rows) <= fits // 2  # folds under way, in units of at most 50 ms
    assert int(rows) >= 5
    assert best == "True"
    time.sleep(0.5)
    assert log.stat().st_size == fits  # no worker goes on


# --- the scikit-learn citizen -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_a_search_clones_pickles_and_predicts(kind: str) -> None:
    search = ALL[kind](SVC(), {"C": [0.1, 1.0, 10.0, 100.0]}, cv=2)
    assert clone(search).get_params()["estimator__C"] == 1.0
    fitted = clone(search).fit(X, Y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert untimed(again.cv_results_) == untimed(fitted.cv_results_)
    assert isinstance(fitted, sk.BaseSearchCV if hasattr(sk, "BaseSearchCV") else sk._search.BaseSearchCV)
    assert sklearn.base.is_classifier(search)
    assert "SVC" in fitted._repr_html_()


def test_blas_has_its_threads_back_after_concurrent_searches() -> None:
    def blas() -> list[int]:
        return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]

    with threadpool_limits(limits=2, user_api="blas"):
        before = blas()
        search = BayesSearchCV(SVC(), {"C": (1e-3, 1e3, "log-uniform")}, n_iter=15, cv=2, random_state=0)
        with joblib.parallel_config(backend="threading"):
            cross_val_score(search, X, Y, cv=4, n_jobs=4)
        assert blas() == before


@pytest.mark.parametrize("kind", ALL)
def test_a_search_nests(kind: str) -> None:
    search = ALL[kind](SVC(), {"C": [0.1, 1.0, 10.0, 100.0]}, cv=2)
    assert cross_val_score(search, X, Y, cv=2, n_jobs=2).shape == (2,)
    assert cross_val_score(make_pipeline(StandardScaler(), search), X, Y, cv=2, error_score="raise").shape == (2,)
    voting = VotingClassifier([("search", search), ("tree", DecisionTreeClassifier())]).fit(X, Y)
    assert voting.predict(X).shape == Y.shape
    outer = GridSearchCV(search, {"estimator__kernel": ["linear", "rbf"]}, cv=2, n_jobs=2, error_score="raise")
    assert outer.fit(X, Y).best_estimator_.best_params_["C"] in (0.1, 1.0, 10.0, 100.0)


@pytest.mark.parametrize("kind", ALL)
def test_refit_false_and_refit_callable(kind: str) -> None:
    make = ALL[kind]
    unfitted = make(SVC(), {"C": [0.1, 1.0, 10.0]}, cv=2, refit=False).fit(X, Y)
    assert unfitted.best_params_ in unfitted.cv_results_["params"]
    assert not hasattr(unfitted, "predict")
    chosen = make(SVC(), {"C": [0.1, 1.0, 10.0]}, cv=2, refit=lambda results: 1).fit(X, Y)
    assert chosen.best_index_ == 1
    assert not hasattr(chosen, "best_score_")
    assert chosen.cv_results_["params"][1]["C"] == chosen.best_estimator_.C


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_results_of_adaptive_searches_have_their_columns(kind: str) -> None:
    search = ADAPTIVE[kind](SVC(), C, cv=3, random_state=0).fit(X, Y)
    results, n = search.cv_results_, len(search.cv_results_["params"])
    for column in ("status", "n_splits_done", "start_time", "end_time"):
        assert results[column].shape == (n,)
    assert set(results["n_splits_done"][results["status"] == "ok"]) == {3}
    assert np.all(results["end_time"] >= results["start_time"])
    frame = pd.DataFrame(search.history_)
    assert {"trial", "score", "status", "n_resources", "param_C"} <= set(frame.columns)
    assert frame["end_time"].is_monotonic_increasing
    assert type(search.best_params_) is dict
    assert all(type(value) is float for value in search.best_params_.values())


def test_the_history_of_hyperband_has_an_entry_for_each_resource_a_trial_reached() -> None:
    search = HyperbandSearchCV(
        SGDClassifier(random_state=0), {"alpha": loguniform(1e-6, 1e-1)}, max_resources=9, cv=2, random_state=0
    ).fit(X, Y)
    results = search.cv_results_
    frame = pd.DataFrame(search.history_)
    assert set(frame["trial"]) == set(range(len(results["params"])))
    for number, rows in frame.groupby("trial"):
        rungs = range(rows["rung"].iloc[0], rows["rung"].iloc[0] + len(rows))
        assert rows["rung"].tolist() == list(rungs)
        assert rows["n_resources"].tolist() == [search.n_resources_[rung] for rung in rungs]
        assert np.all(rows["end_time"] >= rows["start_time"])
        assert np.all(rows["start_time"].to_numpy()[1:] >= rows["end_time"].to_numpy()[:-1])
        last = rows.iloc[-1]
        assert last["score"] == results["mean_test_score"][number]
        assert (last["n_resources"], last["rung"]) == (results["n_resources"][number], results["iter"][number])
        assert (last["start_time"], last["end_time"]) == (results["start_time"][number], results["end_time"][number])
        assert last["param_alpha"] == results["params"][number]["alpha"]


def test_the_surrogates_view_is_near_the_scores_it_has_seen() -> None:
    results = BayesSearchCV(SVC(), C, n_iter=20, cv=3, random_state=0).fit(X, Y).cv_results_
    distance = np.abs(results["posterior_mean_test_score"] - results["mean_test_score"])
    assert np.median(distance) < 0.2 * np.ptp(results["mean_test_score"])
    assert np.all(results["posterior_std_test_score"] >= 0)


# --- the start --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_the_estimators_own_parameters_come_first_then_the_given_ones(kind: str) -> None:
    given = [{"C": 3.0}, {"C": 0.5, "kernel": "linear"}]
    search = ADAPTIVE[kind](SVC(C=7.0), {**C, "kernel": ["linear", "rbf"]}, initial_params=given, cv=2, random_state=0)
    tried = search.fit(X, Y).cv_results_["params"]
    assert tried[0] == {"C": 7.0, "kernel": "rbf"}
    assert tried[1]["C"] == 3.0
    assert tried[2] == {"C": 0.5, "kernel": "linear"}


@pytest.mark.parametrize("n_given", [2, 3])
def test_the_given_ones_come_before_the_estimators_own_where_there_is_room_for_one(n_given: int) -> None:
    given = [{"C": 3.0}, {"C": 0.5}, {"C": 0.2}][:n_given]
    search = BayesSearchCV(SVC(C=7.0), C, n_iter=3, initial_params=given, cv=2, random_state=0).fit(X, Y)
    assert search.cv_results_["params"] == ([{"C": 7.0}, *given] if n_given == 2 else given)


def test_fits_that_fail_with_few_rows_only_are_told_from_models_that_are_wrong() -> None:
    model = make_pipeline(PCA(15), SVC())
    data = make_classification(200, 20, random_state=0)
    search = HyperbandSearchCV(model, {"svc__C": [0.1, 1.0, 10.0]}, cv=3, min_resources=9, random_state=0)
    with pytest.raises(ValueError, match=r"(?s)All the .*had 14 units of 'n_samples' at most, of 134;.* min_resources"):
        search.fit(*data)
    assert search.set_params(min_resources=30).fit(*data).best_score_ > 0.5
    with pytest.raises(ValueError, match=r"(?s)All the .*this one fails") as caught:
        HyperbandSearchCV(Fragile(mode="raise"), {"a": [0.1, 0.2]}, cv=2, min_resources=45).fit(X, Y)
    assert "min_resources" not in str(caught.value)


@pytest.mark.parametrize("kind", ALL)
def test_a_second_fit_that_fails_leaves_nothing_of_the_first(kind: str) -> None:
    search = ALL[kind](Fragile(), {"a": [0.1, 0.2, 0.3]}, cv=2).fit(X, Y)
    assert search.score(X, Y) < 1
    before = set(vars(search))
    with pytest.raises(ValueError, match="All the"):
        search.set_params(estimator__mode="raise").fit(X, Y)
    assert not set(vars(search)) & {"cv_results_", "best_params_", "best_estimator_", "scorer_"}
    assert {row["status"] for row in search.history_} == {"failed"}
    with pytest.raises(NotFittedError):
        search.score(X, Y)
    search.set_params(estimator__mode="fine").fit(X, Y)
    assert set(vars(search)) == before
    state = dict(vars(search))
    refused: list[tuple[dict[str, Any], str]] = [
        ({"cv": 1}, "'cv' parameter"),
        ({"cv": 89}, "n_splits=89"),
        ({"cv": 3, "refit": one_standard_error(complexity="z")}, "'z' is none"),
    ]
    for changes, message in refused:
        with pytest.raises(ValueError, match=message):
            search.set_params(**changes).fit(X, Y)
        assert {**vars(search), "cv": 2, "refit": True} == state  # it did not come to a search
        search.set_params(cv=2, refit=True)


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_parameters_outside_the_space_are_not_tried(kind: str) -> None:
    search = ADAPTIVE[kind](SVC(C=1e6), C, cv=2, random_state=0).fit(X, Y)
    assert max(params["C"] for params in search.cv_results_["params"]) <= 1e2


@pytest.mark.parametrize("sampler", ["bayes", "random"])
def test_a_finite_space_is_searched_once_and_then_exhausted(sampler: str) -> None:
    space = {"C": [0.1, 1.0, 10.0], "kernel": ["linear", "rbf"]}
    bayes: Any = BayesSearchCV(SVC(), space, n_iter=50, cv=2)
    if sampler == "random":
        bayes = HyperbandSearchCV(SVC(), space, sampler="random", resource="n_samples", n_candidates=50, cv=2)
    bayes.fit(X, Y)
    assert bayes.stop_reason_ == "exhausted"
    assert Counter(map(repr, bayes.cv_results_["params"])) == Counter(map(repr, sk.ParameterGrid(space)))


# --- refusals, before any fit ------------------------------------------------------------------------

GIVEN = [{"a": 0.1 * number} for number in range(1, 6)]
REFUSED: list[tuple[Any, str]] = [
    (lambda: BayesSearchCV(NeverFitted(), {"aa": (0.0, 1.0)}), "'aa'"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": []}), "'a'"),
    (lambda: BayesSearchCV(NeverFitted(), {}), "search_spaces"),
    (lambda: BayesSearchCV(NeverFitted(), []), "search_spaces"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": (1.0, 0.0)}), "'a'"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": (0.0, np.inf)}), "'a'"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": (0.0, 1.0, "log-uniform")}), "'a'"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": OnlyRvs()}), "'a'"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": "text"}), "'a'"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": 3}), "'a'"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": (0.0, 1.0)}, n_iter=0), "n_iter"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": (0.0, 1.0)}, n_initial_points=0), "n_initial_points"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": (0.0, 1.0)}, prune_folds="mean"), "prune_folds"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": (0.0, 1.0)}, prune_folds=0.05), "prune_folds"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": (0.0, 1.0)}, initial_params={"a": 0.5}), "initial_params"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": (0.0, 1.0)}, initial_params=[{"a": 2.0}]), "initial_params"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": (0.0, 1.0)}, initial_params=[{"z": 2.0}]), "initial_params"),
    (lambda: BayesSearchCV(NeverFitted(), {"a": (0.0, 1.0)}, scoring=["accuracy", "f1_macro"]), "refit"),
    (lambda: HyperbandSearchCV(NeverFitted(), {"aa": uniform()}, resource="n_steps"), "'aa'"),
    (lambda: HyperbandSearchCV(NeverFitted(), {"n_steps": [1, 2, 3]}, resource="n_steps"), "n_steps.*also searched"),
    (lambda: HyperbandSearchCV(NeverFitted(), {"a": uniform()}, resource="partial_fit"), "partial_fit"),
    (lambda: HyperbandSearchCV(NeverFitted(), {"a": uniform()}, resource="steps"), "resource='steps'"),
    (lambda: HyperbandSearchCV(NeverFitted(), {"n_steps": [1, 2]}, resource="a"), "integer parameter"),
    (lambda: HyperbandSearchCV(NeverFitted(), {"a": uniform()}, resource="n_steps", factor=1), "factor"),
    (lambda: HyperbandSearchCV(NeverFitted(), {"a": uniform()}, resource="n_steps", schedule="sync"), "schedule"),
    (lambda: HyperbandSearchCV(NeverFitted(), {"a": uniform()}, resource="n_steps", min_resources=10), "min_resources"),
    (lambda: HyperbandSearchCV(NeverFitted(), {"a": uniform()}, resource="n_steps", brackets=9), "brackets"),
    (
        lambda: HyperbandSearchCV(NeverFitted(), {"a": uniform()}, resource="n_samples", max_resources=900),
        "max_resources",
    ),
    (lambda: HyperbandSearchCV(NeverFitted(), {"a": uniform()}, resource="n_steps", sampler="grid"), "sampler"),
    (
        lambda: HyperbandSearchCV(
            NeverFitted(), {"a": uniform()}, resource="n_steps", sampler=Choosy(), initial_params=[{"a": 0.5}]
        ),
        "no effect with sampler=",
    ),
    (
        lambda: HyperbandSearchCV(NeverFitted(), {"a": uniform()}, resource="n_steps", sampler=Choosy),
        "sampler=.* is a class",
    ),
    (
        lambda: BayesSearchCV(NeverFitted(), {"a": (0.0, 1.0)}, n_iter=2, initial_params=3 * [{}]),
        "initial_params has 3 entries, and the search at most 2",
    ),
    (
        lambda: HyperbandSearchCV(
            NeverFitted(), {"a": uniform()}, resource="n_steps", n_candidates=2, initial_params=GIVEN
        ),
        "initial_params has 5 entries, and the search at most 2",
    ),
    (
        lambda: HyperbandSearchCV(NeverFitted(), {"a": uniform()}, resource="n_steps", refit=posterior_mean),
        "posterior_mean needs",
    ),
    (lambda: GridSearchCV(NeverFitted(), {"a": [0.1, 0.2]}, refit=posterior_mean), "posterior_mean needs"),
    (
        lambda: GridSearchCV(NeverFitted(), [{"a": [0.1]}, {"b": [1]}], refit=one_standard_error(complexity="-z")),
        r"complexity='-z' is none of the searched parameters, \['a', 'b'\]",
    ),
    (
        lambda: BayesSearchCV(NeverFitted(), [({"a": (0.0, 1.0)}, 3)], refit=one_standard_error(complexity="z")),
        r"complexity='z' is none of the searched parameters, \['a'\]",
    ),
    (
        lambda: GridSearchCV(
            NeverFitted(), {"a": [0.1]}, scoring=["accuracy", "f1_macro"], refit=one_standard_error(complexity="a")
        ),
        "several metrics.*name one",
    ),
    (
        lambda: GridSearchCV(
            NeverFitted(), {"a": [0.1]}, scoring=["accuracy", "f1_macro"], refit=one_standard_error(metric="f1")
        ),
        "metric must be one of",
    ),
    (
        lambda: GridSearchCV(
            NeverFitted(), {"a": [0.1]}, scoring="accuracy", refit=one_standard_error(metric="accuracy")
        ),
        r"metric must be one of \['score'\], got 'accuracy'; leave it out",
    ),
    (lambda: HyperbandSearchCV(NeverFitted(), {"a": uniform()}, resource="n_steps", factor=1.05), "factor"),
    (lambda: GridSearchCV(NeverFitted(), {"aa": [1]}), "'aa'"),
    (lambda: GridSearchCV(NeverFitted(), {"a": []}), "'a'"),
    (lambda: RandomizedSearchCV(NeverFitted(), {"aa": uniform()}), "'aa'"),
]


class OnlyRvs:
    """A distribution with no quantiles."""

    def rvs(self, random_state: Any = None) -> float:
        return float(random_state.rand())


@pytest.mark.parametrize(("make", "names"), REFUSED)
def test_unusable_arguments_are_refused_before_any_fit(make: Callable[[], Any], names: str) -> None:
    with pytest.raises((ValueError, TypeError), match=names):
        make().fit(X, Y)


def test_a_distribution_without_quantiles_is_sampled_where_no_model_is_needed() -> None:
    search = HyperbandSearchCV(Sleepy(), {"a": OnlyRvs()}, resource="n_steps", sampler="random", cv=2, n_candidates=4)
    assert len(search.fit(X, Y).cv_results_["params"]) == 4


@pytest.mark.parametrize("kind", ALL)
def test_every_kind_of_dimension_is_accepted(kind: str) -> None:
    space: dict[str, Any] = {"a": Real(0.1, 1.0), "n_steps": Integer(1, 9), "b": Categorical(["x", "y"])}
    if kind == "grid":
        space = {"a": [0.1, 0.5], "n_steps": [1, 9], "b": ("x", "y")}
    if kind == "hyperband":
        space["n_steps"] = space.pop("n_steps")
    search = ALL[kind](Sleepy(), space, cv=2).fit(X, Y)
    for params in search.cv_results_["params"]:
        assert 0.1 <= params["a"] <= 1.0
        assert 1 <= params["n_steps"] <= 9
        assert params["b"] in ("x", "y")


# --- Hyperband ---------------------------------------------------------------------------------------


class Counting(SGDClassifier):
    """Counts its partial_fit calls and the rows in each; a copy from a pickle goes on counting."""

    calls: list[int] = []  # noqa: RUF012 - shared on purpose

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        Counting.calls.append(len(X))
        return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)


@pytest.mark.parametrize(("max_resources", "published"), [(9, 69), (27, 357), (15, 101)])
def test_partial_fit_calls_are_the_published_plan_and_none_is_repeated(max_resources: int, published: int) -> None:
    Counting.calls.clear()
    search = HyperbandSearchCV(
        Counting(random_state=0),
        {"alpha": loguniform(1e-6, 1e-1)},
        schedule="hyperband",
        max_resources=max_resources,
        min_resources=1,
        cv=2,
        refit=False,
        random_state=0,
        prune_folds=False,
    ).fit(X, Y)
    assert len(Counting.calls) == 2 * published
    assert set(Counting.calls) == {45}
    planned = {(row["bracket"], row["rung"]): row["n_trials"] for row in search.plan()}
    ran = Counter((row["bracket"], row["rung"]) for row in search.history_)
    assert ran == planned


@pytest.mark.parametrize("prune_folds", [False, True, "median"])
def test_asynchronous_promotion_stays_within_the_plan(prune_folds: bool | str) -> None:
    Counting.calls.clear()
    search = HyperbandSearchCV(
        Counting(random_state=0),
        {"alpha": loguniform(1e-6, 1e-1)},
        max_resources=27,
        cv=3,
        refit=False,
        random_state=0,
        prune_folds=prune_folds,
    ).fit(X, Y)
    amounts = [0, *search.n_resources_]
    planned = sum(row["n_trials"] * (row["n_resources"] - amounts[row["rung"]]) for row in search.plan())
    assert search.cv_results_["n_resources"].max() == 27
    assert search.cv_results_["status"][search.best_index_] == "ok"
    passes, before = 0, Counter[int]()
    for row in search.history_:
        passes += row["n_splits_done"] * (row["n_resources"] - before[row["trial"]])
        before[row["trial"]] = row["n_resources"]
    assert len(Counting.calls) == passes  # nothing was trained twice, and no fold that was pruned
    assert before.total() <= planned
    assert (passes < 3 * before.total()) == bool(prune_folds)


@pytest.mark.parametrize(("schedule", "share"), [("async", 0.4), ("hyperband", 0.25)])
def test_models_are_kept_of_trials_that_may_go_on_only(
    schedule: str, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept: list[int] = []

    def score(estimator: Any, X: Any, y: Any) -> float:
        kept.append(len(list(tmp_path.rglob("trial-*.pkl"))))
        return float(estimator.score(X, y))

    search = HyperbandSearchCV(
        SGDClassifier(random_state=0),
        {"alpha": loguniform(1e-6, 1e-1)},
        max_resources=27,
        schedule=schedule,
        scoring=score,
        cv=2,
        random_state=0,
    ).fit(X, Y)
    assert len(search.cv_results_["params"]) == 49
    assert 2 < max(kept) <= share * 49 * 2
    assert not list(tmp_path.iterdir())


def test_the_refit_trains_as_the_top_rung_did() -> None:
    estimator = make_pipeline(StandardScaler(), Counting(random_state=0))
    search = HyperbandSearchCV(
        estimator, {"counting__alpha": loguniform(1e-6, 1e-1)}, max_resources=9, cv=2, random_state=0, n_candidates=5
    )
    Counting.calls.clear()
    search.fit(X, Y)
    assert Counting.calls[-9:] == [90] * 9
    assert search.best_estimator_[-1].t_ == 1 + 9 * 90


def test_hyperband_says_what_it_did() -> None:
    forest = RandomForestRegressor(n_estimators=9, random_state=0)
    search = HyperbandSearchCV(
        forest, {"max_depth": randint(1, 9)}, schedule="hyperband", cv=2, random_state=0, prune_folds=False
    )
    planned = search.plan()
    search.fit(X_REG, Y_REG)
    assert search.brackets_ == planned
    assert (search.resource_, search.min_resources_, search.max_resources_) == ("n_estimators", 1, 9)
    assert search.n_resources_ == [1, 3, 9]
    results = search.cv_results_
    assert set(results["status"]) == {"ok", "paused"}
    np.testing.assert_array_equal(results["status"] == "ok", results["n_resources"] == 9)
    ok = results["status"] == "ok"
    assert results["rank_test_score"][ok].max() < results["rank_test_score"][~ok].min()
    assert search.best_score_ == results["mean_test_score"][ok].max()


class Choosy:
    """A searcher of a user's own: counts down."""

    def suggest(self, history: Any, rng: Any) -> dict[str, Any] | None:
        return {"a": 1.0 / (1 + len(history.trials))}


def test_a_sampler_of_ones_own() -> None:
    search = HyperbandSearchCV(Sleepy(), {"a": uniform()}, resource="n_steps", sampler=Choosy(), n_candidates=4, cv=2)
    assert [p["a"] for p in search.fit(X, Y).cv_results_["params"]] == [1.0, 1 / 2, 1 / 3, 1 / 4]


@pytest.mark.parametrize("suggestion", [[("a", 1.0)], "a", 1.0, {1: 1.0}])
def test_what_a_sampler_suggests_is_named_where_it_is_no_dict(suggestion: Any) -> None:
    class Careless:
        def suggest(self, history: Any, rng: Any) -> Any:
            return {"a": 0.5} if len(history.trials) < 2 else suggestion

    search = HyperbandSearchCV(Sleepy(), {"a": uniform()}, resource="n_steps", sampler=Careless(), cv=2)
    with pytest.raises(TypeError, match=rf"sampler=.*Careless.* suggested {re.escape(repr(suggestion))}; suggest must"):
        search.fit(X, Y)
    assert len(search.cv_results_["params"]) == 2


def test_bayes_finds_what_random_search_does_not() -> None:
    space = {"a": norm(0.5, 0.2), "b": list("uvwxyz")}
    regret = {}
    for name, make in {
        "bayes": lambda seed: BayesSearchCV(Sleepy(), space, n_iter=25, cv=2, random_state=seed),
        "random": lambda seed: RandomizedSearchCV(Sleepy(), space, n_iter=25, cv=2, random_state=seed),
    }.items():
        fitted = [make(seed).fit(X, Y) for seed in range(4)]
        regret[name] = np.mean([(s.best_params_["a"] - 0.3) ** 2 + 0.1 * (s.best_params_["b"] != "y") for s in fitted])
    assert regret["bayes"] < 0.4 * regret["random"]


class Unpicklable(SGDClassifier):
    """A model that cannot wait in a file."""

    n_passes = 0

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        self.lock_ = threading.Lock()
        Unpicklable.n_passes += 1
        return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)


@pytest.mark.parametrize("schedule", ["async", "hyperband"])
def test_a_model_that_cannot_be_pickled_is_trained_anew_when_it_is_promoted(schedule: str) -> None:
    space = {"alpha": loguniform(1e-6, 1e-1)}
    settings = {"schedule": schedule, "max_resources": 9, "cv": 2, "refit": False, "random_state": 0}
    searches = [HyperbandSearchCV(kind(random_state=0), space, **settings) for kind in (Unpicklable, SGDClassifier)]
    Unpicklable.n_passes = 0
    with pytest.warns(RuntimeWarning, match="trained anew"):
        searches[0].fit(X, Y)
    assert untimed(searches[0].cv_results_) == untimed(searches[1].fit(X, Y).cv_results_)
    from_scratch = sum(row["n_trials"] * row["n_resources"] for row in searches[0].plan())
    assert Unpicklable.n_passes == sum(row["n_splits_done"] * row["n_resources"] for row in searches[0].history_)
    assert Unpicklable.n_passes <= 2 * from_scratch


class Diverging(SGDClassifier):
    """Fails in the ninth pass."""

    n_passes = 0

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        time.sleep(0.01)
        Diverging.n_passes += 1
        self.n_passes_ = getattr(self, "n_passes_", 0) + 1
        if self.n_passes_ == 9:
            raise FloatingPointError("too large")
        return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_folds_beside_one_that_fails_go_on_from_their_models() -> None:
    search = HyperbandSearchCV(
        Diverging(random_state=0),
        {"alpha": loguniform(1e-6, 1e-1)},
        min_resources=3,
        max_resources=9,
        schedule="hyperband",
        sampler="random",
        brackets=1,
        cv=4,
        n_jobs=2,
        refit=False,
    )
    Diverging.n_passes = 0
    with joblib.parallel_config(backend="threading"), pytest.warns(FitFailedWarning, match="too large"):
        search.fit(X, Y)
    assert [(row["n_trials"], row["n_resources"]) for row in search.brackets_] == [(3, 3), (1, 9)]
    assert Diverging.n_passes <= 4 * (3 * 3 + 1 * (9 - 3))


@pytest.mark.parametrize("sparse_y", [False, True])
def test_several_labels_at_once_are_not_for_partial_fit(sparse_y: bool) -> None:
    rows, labels = make_multilabel_classification(n_samples=90, n_features=5, n_classes=3, random_state=0)
    several = OneVsRestClassifier(GaussianNB())
    assert hasattr(several, "partial_fit")
    space = {"estimator__var_smoothing": loguniform(1e-9, 1e-1)}
    search = HyperbandSearchCV(several, space, scoring="accuracy", cv=2, min_resources=30)
    search.fit(rows, sp.csr_matrix(labels) if sparse_y else labels)
    assert search.resource_ == "n_samples"
    assert set(search.cv_results_["status"]) <= {"ok", "paused"}


@pytest.mark.parametrize("estimator", [MultiOutputClassifier(SGDClassifier(random_state=0)), MLPClassifier((3,))])
def test_the_plan_of_several_targets_is_what_is_run(estimator: Any) -> None:
    rows, labels = make_multilabel_classification(n_samples=60, n_features=5, n_classes=3, random_state=0)
    space = {"estimator__alpha" if "estimator" in estimator.get_params() else "alpha": loguniform(1e-6, 1e-2)}
    search = HyperbandSearchCV(estimator, space, cv=2, max_resources=9, refit=False)
    plans = [search.plan(), search.plan(rows, labels)]
    assert plans == [search.fit(rows, labels).brackets_] * 2
    assert search.resource_ == "partial_fit"


def as_lists(rows: Any) -> list[Any]:
    """What some text pipelines hand on: one array a row, of different lengths."""
    return [np.arange(1.0 + index % 3) for index in range(len(rows))]


class Lengths(SGDClassifier):
    """Takes rows of any length."""

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        return super().partial_fit([[len(row)] for row in X], y, classes=classes)

    def predict(self, X: Any) -> Any:
        return super().predict([[len(row)] for row in X])


def test_steps_may_hand_on_lists_of_anything() -> None:
    pipeline = make_pipeline(FunctionTransformer(as_lists), Lengths(random_state=0))
    search = HyperbandSearchCV(pipeline, {"lengths__alpha": [1e-4, 1e-3, 1e-2]}, max_resources=9, cv=2).fit(X, Y)
    assert "failed" not in search.cv_results_["status"]


def test_plan_refuses_what_fit_refuses() -> None:
    def make(**keywords: Any) -> HyperbandSearchCV:
        return HyperbandSearchCV(
            **{"estimator": SGDClassifier(), "param_distributions": {"alpha": [0.1, 0.2]}, **keywords}
        )

    with pytest.raises(ValueError, match="'alfa'"):
        make(param_distributions={"alfa": [0.1]}).plan()
    with pytest.raises(ValueError, match="initial_params"):
        make(initial_params=[{"z": 1}]).plan()
    with pytest.raises(ValueError, match="initial_params has 100 entries"):
        make(
            param_distributions={"alpha": uniform()},
            initial_params=[{"alpha": 0.001 * n} for n in range(100)],
            max_resources=9,
        ).plan()
    with pytest.raises(ValueError, match=r"'alpha': .*OnlyRvs.* can only be sampled.*a search that draws at random"):
        make(param_distributions={"alpha": OnlyRvs()}).plan()
    assert make(param_distributions={"alpha": OnlyRvs()}, sampler="random").plan()
    with pytest.raises(ValueError, match="posterior_mean needs"):
        make(refit=posterior_mean).plan()
    with pytest.raises(ValueError, match="complexity='z' is none of the searched parameters"):
        make(refit=one_standard_error(complexity="z")).plan()
    with pytest.raises(ValueError, match="refit must be set"):
        make(scoring=["accuracy", "f1_macro"]).plan()
    with pytest.raises(ValueError, match="used only once"):
        make(cv=StratifiedKFold(3).split(X, Y)).plan(X, Y)
    assert make(cv=LeaveOneOut()).plan() == make().plan()
    drawing = make(resource="n_samples", cv=KFold(3, shuffle=True, random_state=np.random.RandomState(0)))
    drawing.plan(X, Y)
    splits = dict(enumerate(StratifiedKFold(3).split(X, Y))).values()  # cannot be copied
    assert make(resource="n_samples", cv=splits).plan(X, Y) == make(resource="n_samples", cv=3).plan(X, Y)
    assert drawing.cv.random_state.randint(2**31) == np.random.RandomState(0).randint(2**31)
    by_group = make(resource="n_samples", cv=GroupKFold(3)).plan(X, Y, groups=GROUPS)
    assert by_group[-1]["n_resources"] == 60


# --- callbacks ------------------------------------------------------------------------------------


class Recorder:
    """A callback of scikit-learn >= 1.9 that writes down the path of every task."""

    def __init__(self) -> None:
        self.paths: list[tuple[str, ...]] = []

    def setup(self, estimator: Any, context: Any) -> None:
        self.paths.clear()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        path: list[str] = []
        while context is not None:
            path.insert(0, context.task_name)
            context = context.parent
        self.paths.append(tuple(path))

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        pass

    def teardown(self, estimator: Any, context: Any) -> None:
        pass


HAS_CALLBACKS = hasattr(GridSearchCV, "set_callbacks")


@pytest.mark.parametrize("n_jobs", [1, 2] if HAS_CALLBACKS else [])
@pytest.mark.parametrize("kind", ALL)
def test_callbacks_see_the_tree_of_scikit_learns_grid_search(kind: str, n_jobs: int) -> None:
    recorder = Recorder()
    with joblib.parallel_config(backend="threading"):
        search = ALL[kind](SVC(), {"C": [0.1, 1.0, 10.0]}, cv=2, n_jobs=n_jobs).set_callbacks(recorder).fit(X, Y)
    seen = Counter(recorder.paths)
    n_fits = 2 * len(search.history_)
    assert seen == {
        ("fit",): 1,
        ("fit", "search"): 1,
        ("fit", "search", "candidate-split-evaluation"): n_fits,
        ("fit", "refit-with-best-params"): 1,
    }
    if kind == "grid":
        theirs = Recorder()
        sk.GridSearchCV(SVC(), {"C": [0.1, 1.0, 10.0]}, cv=2).set_callbacks(theirs).fit(X, Y)
        assert Counter(theirs.paths) == seen


@pytest.mark.parametrize("nested", [False, True] if HAS_CALLBACKS else [])
@pytest.mark.parametrize("schedule", ["async", "hyperband"])
def test_callbacks_of_the_estimator_hear_of_every_fit_of_a_model_that_pauses(schedule: str, nested: bool) -> None:
    """A paused model was read back with copies of them."""
    recorder = Recorder()
    model = LogisticRegression(max_iter=9).set_callbacks(recorder)
    search = HyperbandSearchCV(
        Pipeline([("scale", StandardScaler()), ("model", model)]) if nested else model,
        {"model__C" if nested else "C": [0.1, 1.0, 10.0]},
        resource="model__max_iter" if nested else "max_iter",
        schedule=schedule,
        min_resources=1,
        cv=2,
        refit=False,
        prune_folds=False,
    )
    recorder.setup = lambda **_: None  # type: ignore[method-assign]  # each fit is a root of its own in a Pipeline
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(X, Y)
    assert sum(path[-1] == "fit" for path in recorder.paths) == sum(row["n_splits_done"] for row in search.history_)
    assert len({row["rung"] for row in search.history_}) == 3


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn before 1.9 has no callbacks")
def test_callbacks_that_a_wrapper_hands_on_are_not_its_own() -> None:
    scaler = StandardScaler().fit(X)
    scaler.set_callbacks(Recorder())
    pipeline = Pipeline([("scale", FrozenEstimator(scaler)), ("model", SGDClassifier(random_state=0))])
    search = HyperbandSearchCV(pipeline, {"model__alpha": [1e-4, 1e-3]}, max_resources=3, cv=2).fit(X, Y)
    assert len(search.history_) >= 2


@pytest.mark.parametrize("kind", ALL if HAS_CALLBACKS else [])
def test_a_progress_bar_works_over_processes(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    from sklearn.callback import ProgressBar

    search = ALL[kind](LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2, n_jobs=2)
    search.set_callbacks(ProgressBar()).fit(X, Y)
    assert hasattr(search, "best_estimator_")
    assert "search" in capsys.readouterr().out


# --- where somebody counts on scikit-learn's own fit ---------------------------------------------------


@pytest.mark.parametrize("search_class", [GridSearchCV, RandomizedSearchCV])
def test_a_subclass_with_its_own_run_search_is_honoured(search_class: Any) -> None:
    class Refining(search_class):  # type: ignore[misc]
        def _run_search(self, evaluate_candidates: Any, **_: Any) -> None:
            evaluate_candidates([{"C": 1.0}, {"C": 10.0}])
            evaluate_candidates([{"C": 0.1}])

    search = Refining(SVC(), {"C": [1.0]}, cv=2).fit(X, Y)
    assert search.cv_results_["params"] == [{"C": 1.0}, {"C": 10.0}, {"C": 0.1}]
    assert search.predict(X).shape == Y.shape


@pytest.mark.parametrize("name", ["GridSearchCV", "RandomizedSearchCV"])
def test_a_fit_that_autologging_puts_onto_scikit_learns_class_is_called(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = getattr(sk, name), {"GridSearchCV": GridSearchCV, "RandomizedSearchCV": RandomizedSearchCV}[name]
    plain = ours(SVC(), {"C": [0.1, 1.0, 10.0] * 4}, cv=2).fit(X, Y)
    original, logged = theirs.fit, []

    def patched(self: Any, *args: Any, **kwargs: Any) -> Any:  # as MLflow's safe_patch
        fitted = original(self, *args, **kwargs)
        logged.append(self.cv_results_["params"])
        return fitted

    monkeypatch.setattr(theirs, "fit", patched, raising=False)
    search = ours(SVC(), {"C": [0.1, 1.0, 10.0] * 4}, cv=2).fit(X, Y)
    assert logged == [search.cv_results_["params"]]
    assert list(search.cv_results_) == list(plain.cv_results_)
    assert search.predict(X).shape == Y.shape


# --- messages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_verbose_one_tells_of_the_whole(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    ALL[kind](SVC(), {"C": [0.1, 1.0, 10.0]}, cv=2, verbose=1).fit(X, Y)
    assert re.match(
        r"Fitting 2 folds for each of \d candidates, totalling (at most )?\d+ fits\n", capsys.readouterr().out
    )


@pytest.mark.parametrize("kind", ALL)
def test_verbose_tells_of_each_fit(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    search = ALL[kind](SVC(), {"C": [0.1, 1.0, 10.0]}, cv=2, verbose=2).fit(X, Y)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[CV")]
    assert len(lines) == 2 * len(search.history_)
    assert all("C=" in line and "total time=" in line for line in lines)


def test_the_logger_tells_every_decision(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="sksearch"):
        search = ADAPTIVE["hyperband"](SVC(), {"C": [0.1, 1.0, 10.0]}, cv=2, random_state=0).fit(X, Y)
    messages = [record.getMessage() for record in caplog.records if record.name == "sksearch"]
    assert sum(text.startswith("asked: ") for text in messages) == len(search.history_)
    assert sum(text.startswith("told: ") for text in messages) == len(search.history_)


TAKES_FILTERS = hasattr(sklearn.utils.parallel._FuncWrapper, "with_config_and_warning_filters")
"""Whether this scikit-learn carries warning filters to its own workers."""


@pytest.mark.parametrize("model", [LogisticRegression(max_iter=9), MLPClassifier(max_iter=9)], ids=repr)
def test_who_has_not_had_all_iterations_is_not_told_to_ask_for_more(model: Any) -> None:
    space = {"C": [0.1, 1.0, 10.0, 100.0]} if hasattr(model, "C") else {"alpha": [0.1, 1.0, 10.0, 100.0]}
    search = HyperbandSearchCV(model, space, resource="max_iter", min_resources=1, cv=3, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(*load_iris(return_X_y=True))
    assert {row["n_resources"] for row in search.history_} == {1, 3, 9}
    at_the_top = sum(row["n_splits_done"] for row in search.history_ if row["n_resources"] == 9)
    assert 0 < len(caught) <= at_the_top + 1  # and the refit


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("prune_folds", [True, False])
@pytest.mark.parametrize("schedule", ["async", "hyperband"])
def test_a_small_grid_is_searched_as_planned_even_where_few_trees_mislead(
    schedule: Any, prune_folds: bool, n_jobs: int
) -> None:
    """With one tree the largest learning rate is best."""
    data, cv = load_diabetes(return_X_y=True), KFold(3)
    model = GradientBoostingRegressor(n_estimators=27, subsample=0.5, random_state=0)
    grid = {"learning_rate": np.logspace(-2.5, 0, 4).tolist(), "max_depth": [1, 2]}
    search = HyperbandSearchCV(
        model,
        grid,
        resource="n_estimators",
        min_resources=1,
        schedule=schedule,
        prune_folds=prune_folds,
        cv=cv,
        n_jobs=n_jobs,
        random_state=0,
    ).fit(*data)
    theirs = sk.GridSearchCV(model, grid, cv=cv).fit(*data)
    assert search.best_params_ == theirs.best_params_
    assert search.best_score_ == pytest.approx(theirs.best_score_, abs=1e-12)
    assert sum(search.cv_results_["n_resources"]) > 8 * 27 / 2
    for row in search.history_:
        if row["status"] == "ok":
            values = {"learning_rate": row["param_learning_rate"], "max_depth": row["param_max_depth"]}
            once = clone(model).set_params(n_estimators=row["n_resources"], **values)
            assert row["score"] == pytest.approx(cross_val_score(once, *data, cv=cv).mean(), abs=1e-12)


def test_steps_that_get_no_more_iterations_say_what_they_have_to_say() -> None:
    class Hasty(TransformerMixin, BaseEstimator):
        def fit(self, X: Any, y: Any = None) -> Hasty:
            warnings.warn("hasty", ConvergenceWarning, stacklevel=1)
            return self

        def transform(self, X: Any) -> Any:
            return X

    model = Pipeline([("hasty", Hasty()), ("clf", LogisticRegression(max_iter=90))])
    space = {"clf__C": [0.1, 1.0, 10.0, 100.0]}
    search = HyperbandSearchCV(
        model, space, resource="clf__max_iter", cv=3, refit=False, prune_folds=False, random_state=0
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(*load_iris(return_X_y=True))
    n_models = 3 * len({row["trial"] for row in search.history_})
    assert [str(warning.message) for warning in caught].count("hasty") == n_models < 3 * len(search.history_)


def test_warnings_filters_and_configuration_reach_the_workers() -> None:
    class Telling(ClassifierMixin, BaseEstimator):
        def __init__(self, a: int = 0) -> None:
            self.a = a

        def fit(self, X: Any, y: Any) -> Telling:
            self.classes_ = np.unique(y)
            warnings.warn("loud", RuntimeWarning, stacklevel=1)
            return self

        def score(self, X: Any, y: Any) -> float:
            return float(sklearn.get_config()["working_memory"])

    for backend in ("loky", "threading", "multiprocessing"):
        with joblib.parallel_config(backend=backend), sklearn.config_context(working_memory=77):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                search = GridSearchCV(Telling(), {"a": [1, 2]}, cv=2, n_jobs=2, refit=False).fit(X, Y)
            assert set(search.cv_results_["mean_test_score"]) == {77.0}
            if not TAKES_FILTERS and backend != "threading":
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with pytest.raises(ValueError, match="loud"):
                    GridSearchCV(Telling(), {"a": [1, 2]}, cv=2, n_jobs=2, refit=False).fit(X, Y)
