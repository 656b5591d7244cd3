"""Grown models against models fitted at once; samples of rows; the choice of a resource; paused models."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import threading
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin, clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    RandomTreesEmbedding,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.feature_selection import SelectFromModel, SelectKBest
from sklearn.linear_model import (
    Lasso,
    LogisticRegression,
    Perceptron,
    Ridge,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.metrics import check_scoring
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import ComplementNB, GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PowerTransformer, StandardScaler
from sklearn.svm import SVC

from resolution import resolve
from sksearch import HyperbandSearchCV
from sksearch.evaluate import Evaluator, Growing
from sksearch.resources import (
    Fold,
    Growth,
    PartialFit,
    Refit,
    Samples,
    WarmStart,
)
from sksearch.samplers.random import RandomSampler
from sksearch.space import Space
from sksearch.spool import Spool
from sksearch.trials import Evaluation, Job, Trial

IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
SEED = (7, 2)
OLD_SCIPY_CALL = "ignore:scipy.optimize. The `disp` and `iprint` options:DeprecationWarning"  # scikit-learn 1.6


def grow(growth, estimator, X, y, levels, *, fit_params=None, classes=None, seed=SEED):
    """Train to each level in turn, through a pickle as a paused model is."""
    model, trained = clone(estimator), 0
    for level in levels:
        model = growth.fit(
            pickle.loads(pickle.dumps(model)) if growth.resumes else clone(estimator),
            Fold(X, y, fit_params or {}, seed, classes),
            n_resources=level,
            trained=trained if growth.resumes else 0,
        )
        trained = level
    return model


def outputs(model, X):
    for method in ("predict_proba", "decision_function", "score_samples", "predict", "transform"):
        if hasattr(model, method):
            values = getattr(model, method)(X)
            return values.toarray() if sparse.issparse(values) else np.asarray(values)
    raise AssertionError(model)


# --- grown equals fitted at once ------------------------------------------------------------------------

SIZED = [
    RandomForestClassifier(random_state=0),
    RandomForestRegressor(random_state=0),
    RandomForestClassifier(random_state=0, oob_score=True, class_weight="balanced_subsample"),
    ExtraTreesClassifier(random_state=0),
    ExtraTreesRegressor(random_state=0, bootstrap=True),
    GradientBoostingClassifier(random_state=0, subsample=0.5),
    GradientBoostingRegressor(random_state=0, max_features=3),
    GradientBoostingClassifier(random_state=0, n_iter_no_change=1, tol=0.05),
    BaggingClassifier(random_state=0),
    BaggingClassifier(random_state=0, oob_score=True),
    BaggingRegressor(random_state=0, max_samples=0.5),
    IsolationForest(random_state=0),
    RandomTreesEmbedding(random_state=0),
]
HIST = [
    HistGradientBoostingClassifier(random_state=0),
    HistGradientBoostingRegressor(random_state=0),
    HistGradientBoostingClassifier(random_state=0, early_stopping=True, n_iter_no_change=2),
    HistGradientBoostingClassifier(random_state=0, early_stopping=True, n_iter_no_change=1, tol=0.3),
]


def data_for(estimator):
    return DIABETES if isinstance(estimator, RegressorMixin) else IRIS


@pytest.mark.filterwarnings("ignore:Some inputs do not have OOB scores")
@pytest.mark.filterwarnings("ignore:class_weight presets")
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
@pytest.mark.parametrize("steps", [(), (StandardScaler(),), (PCA(n_components=3),)])
@pytest.mark.parametrize(
    ("model", "name"), [(model, "n_estimators") for model in SIZED] + [(model, "max_iter") for model in HIST]
)
def test_a_model_grown_by_warm_starts_equals_one_fitted_at_once(model, name, steps):
    X, y = data_for(model)
    estimator = make_pipeline(*steps, model) if steps else model
    resource = f"{type(model).__name__.lower()}__{name}" if steps else name
    grown = grow(WarmStart(resource=resource, max_resources=12), estimator, X, y, [1, 3, 12])
    once = clone(estimator).set_params(**{resource: 12}).fit(X, y)
    assert np.array_equal(outputs(grown, X), outputs(once, X))
    assert repr(grown.get_params()) == repr(once.get_params())


PARTIAL = [
    SGDClassifier(random_state=0),
    SGDClassifier(random_state=0, average=True, class_weight="balanced"),
    SGDRegressor(random_state=0),
    MLPClassifier(hidden_layer_sizes=(4,), random_state=0),
    MLPRegressor(hidden_layer_sizes=(4,), random_state=0),
    Perceptron(random_state=0),
    GaussianNB(),
    MultiOutputClassifier(SGDClassifier(random_state=0)),
    MiniBatchKMeans(n_clusters=3, random_state=0, n_init=1),
    IncrementalPCA(n_components=2),
]


@pytest.mark.parametrize("steps", [(), (StandardScaler(),), (PCA(n_components=3),)])
@pytest.mark.parametrize("model", PARTIAL)
def test_passes_made_in_rungs_equal_passes_made_at_once(model, steps):
    X, y = data_for(model)
    classes = np.unique(y) if isinstance(model, ClassifierMixin) else None
    if isinstance(model, MultiOutputClassifier):
        y, classes = np.column_stack([y, y == 1]), [np.unique(y), np.array([0, 1])]
    estimator = make_pipeline(*steps, model) if steps else model
    growth = PartialFit(max_resources=9)
    grown = grow(growth, estimator, X, y, [1, 3, 9], classes=classes)
    once = growth.fit(clone(estimator), Fold(X, y, {}, SEED, classes), n_resources=9, trained=0)
    if isinstance(model, MultiOutputClassifier):
        assert np.array_equal(grown.predict(X), once.predict(X))
    else:
        assert np.array_equal(outputs(grown, X), outputs(once, X))


def test_rows_come_in_another_order_at_each_pass_and_depend_on_the_seed():
    X, y = np.arange(20.0)[:, None], np.arange(20)
    first = grow(PartialFit(max_resources=9), Recorder(), X, y, [2])
    other = grow(PartialFit(max_resources=9), Recorder(), X, y, [1], seed=(7, 3))
    orders = [call["X"].ravel().tolist() for call in (*first.calls_, *other.calls_)]
    assert all(sorted(order) == list(range(20)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


# --- fit parameters and classes -------------------------------------------------------------------------


class Recorder(ClassifierMixin, BaseEstimator):
    """Notes what it is called with."""

    def fit(self, X, y=None, **params):
        self.calls_ = [{"X": X, "y": y, **params}]
        return self

    def partial_fit(self, X, y=None, classes=None, sample_weight=None, note=None):
        if not hasattr(self, "calls_"):
            self.calls_ = []
        given = {"classes": classes, "sample_weight": sample_weight, "note": note}
        self.calls_.append({"X": X, "y": y, **{name: value for name, value in given.items() if value is not None}})
        return self

    def predict(self, X):
        return np.zeros(len(X))


class Counter(TransformerMixin, BaseEstimator):
    """Counts its fits; asks for sample weights if told so."""

    fits = 0

    def fit(self, X, y=None, sample_weight=None):
        type(self).fits += 1
        self.sample_weight_ = sample_weight
        return self

    def transform(self, X):
        return X


def test_weights_follow_their_rows_and_other_parameters_do_not():
    X, y = np.arange(20.0)[:, None], np.arange(20) % 2
    note = "a string of length 20"[:20]
    model = grow(
        PartialFit(max_resources=9),
        Recorder(),
        X,
        y,
        [1, 3],
        fit_params={"sample_weight": list(range(20)), "note": note},
        classes=np.array([0, 1]),
    )
    for call in model.calls_:
        assert np.array_equal(call["X"].ravel(), call["sample_weight"])
        assert np.array_equal(call["y"], call["X"].ravel() % 2)
        assert call["note"] == note
    assert [("classes" in call) for call in model.calls_] == [True, False, False]


def test_classes_of_the_user_are_passed_on():
    X, y = np.arange(4.0)[:, None], np.array([0, 1, 0, 1])
    classes = np.array([0, 1, 2, 3])
    growth = PartialFit(max_resources=9)
    model = grow(growth, Recorder(), X, y, [1], fit_params={"classes": classes}, classes=np.array([0, 1]))
    assert np.array_equal(model.calls_[0]["classes"], classes)


def test_a_fold_without_some_class_knows_it_all_the_same():
    X, y = IRIS
    model = grow(PartialFit(max_resources=9), SGDClassifier(random_state=0), X[:100], y[:100], [1], classes=[0, 1, 2])
    assert list(model.classes_) == [0, 1, 2]


class Passing(Recorder):
    """Hands on whatever it gets."""

    def partial_fit(self, X, y=None, **params):
        return super().partial_fit(X, y, **params)


class KnowsLabels(ClassifierMixin, BaseEstimator):
    """Finds its labels itself; what else it gets goes to a model that is told them already."""

    def partial_fit(self, X, y, **params):
        if not hasattr(self, "model_"):
            self.model_ = GaussianNB()
        self.model_.partial_fit(X, y, classes=np.arange(3), **params)
        return self

    def predict(self, X):
        return self.model_.predict(X)


class KnowsTargets(ClassifierMixin, BaseEstimator):
    """Finds the labels of several targets, unless it is told them in its own way."""

    def partial_fit(self, X, y, classes=None):
        self.classes_ = [np.unique(column) for column in y.T] if classes is None else classes
        assert isinstance(self.classes_, list)
        return self


class Proxy(ClassifierMixin, BaseEstimator):
    """Has what the model in it has."""

    def __init__(self, model):
        self.model = model

    def __getattr__(self, name):
        if name.startswith("__") or "model" not in vars(self):
            raise AttributeError(name)
        return getattr(self.model, name)


@pytest.mark.parametrize("model", [Passing(), Proxy(Recorder())])
def test_who_hands_arguments_on_is_told_the_labels(model):
    X, y = np.arange(4.0)[:, None], np.array([0, 1, 0, 1])
    model = grow(PartialFit(max_resources=9), model, X, y, [1, 3], classes=np.array([0, 1, 2]))
    assert [call.get("classes", np.array([])).tolist() for call in model.calls_] == [[0, 1, 2], [], []]


def test_who_knows_the_labels_is_not_told_them_in_another_way():
    X, y = IRIS
    grow(PartialFit(max_resources=9), KnowsLabels(), X, y, [1, 3], classes=np.arange(3))
    for Y in (np.eye(3, dtype=int)[y], np.column_stack([y, y == 2])):
        classes = tuple(np.unique(column) for column in Y.T)
        grow(PartialFit(max_resources=9), KnowsTargets(), X, Y, [1, 3], classes=classes)


def test_passes_over_several_targets_are_refused_where_nobody_can_tell_their_labels():
    """OneVsRestClassifier would learn the columns of a multilabel y as one target."""
    model = OneVsRestClassifier(SGDClassifier())
    assert resolve(model, n_classes=(2, 2, 2)).growth.resource == "n_samples"
    with pytest.raises(ValueError, match=r"labels of several targets; use a MultiOutputClassifier .*'n_samples'"):
        resolve(model, "partial_fit", n_classes=(2, 2, 2))
    for knows in (MultiOutputClassifier(SGDClassifier()), KnowsTargets(), MLPClassifier()):
        assert resolve(knows, "partial_fit", n_classes=(2, 2, 2)).growth == PartialFit(max_resources=81)


def test_several_targets_grow_as_each_of_them_does():
    """Also where a fold lacks a label of one of them."""
    X, y = IRIS
    Y = np.column_stack([y, y == 2])[:100]
    classes = (np.arange(3), np.arange(2))
    model = MultiOutputClassifier(SGDClassifier(random_state=0))
    both = grow(PartialFit(max_resources=9), model, X[:100], Y, [1, 3], classes=classes)
    for column, labels in enumerate(classes):
        one = grow(
            PartialFit(max_resources=9), SGDClassifier(random_state=0), X[:100], Y[:, column], [1, 3], classes=labels
        )
        assert np.array_equal(both.estimators_[column].coef_, one.coef_)


@pytest.mark.parametrize(
    ("model", "name", "make"),
    [
        (MLPClassifier(hidden_layer_sizes=(4,), random_state=0), "alpha", np.asarray),
        (MLPClassifier(hidden_layer_sizes=(4,), random_state=0), "alpha", np.ndarray.tolist),
        (MLPClassifier(hidden_layer_sizes=(4,), random_state=0), "alpha", sparse.csr_matrix),
        (MultiOutputClassifier(SGDClassifier(random_state=0)), "estimator__alpha", np.asarray),
        (MultiOutputClassifier(SGDClassifier(random_state=0)), "estimator__alpha", lambda Y: 1 + 4 * Y),
        (MultiOutputClassifier(SGDClassifier(random_state=0)), "estimator__alpha", lambda Y: Y[:, :1]),
    ],
)
def test_a_search_makes_passes_over_several_targets(model, name, make):
    X, y = IRIS
    Y = make(np.eye(3, dtype=int)[y])
    search = HyperbandSearchCV(
        model, {name: [1e-4, 1e-2]}, resource="partial_fit", max_resources=3, cv=3, error_score="raise"
    ).fit(X, Y)
    assert search.best_estimator_.predict(X).shape == (Y.shape if sparse.issparse(Y) else np.shape(Y))


def test_balanced_weights_in_partial_fit_are_the_classes_inverse_frequencies():
    X, y = IRIS[0][:120], IRIS[1][:120]
    counts = np.bincount(y)
    weights = {label: 120 / (3 * count) for label, count in enumerate(counts)}
    growth = PartialFit(max_resources=9)
    balanced = grow(growth, SGDClassifier(random_state=0, class_weight="balanced"), X, y, [1, 3], classes=[0, 1, 2])
    explicit = grow(growth, SGDClassifier(random_state=0, class_weight=weights), X, y, [1, 3], classes=[0, 1, 2])
    assert np.array_equal(balanced.coef_, explicit.coef_)
    assert balanced.class_weight == "balanced"


@pytest.mark.parametrize("names", [["0", "1", "2"], ["-1", "7", "a"], ["1e3", "a", "b"], [False, True, True]])
def test_balanced_weights_are_found_whatever_the_labels_look_like(names):
    """scikit-learn 1.9 looks the weight of "7" up as that of 7, which nobody who asks for balance should notice."""
    X, numbers = IRIS[0][:120], np.unique(names, return_inverse=True)[1][IRIS[1][:120]]
    growth, model = PartialFit(max_resources=9), SGDClassifier(random_state=0, class_weight="balanced")
    named = grow(growth, model, X, np.unique(names)[numbers], [1, 3], classes=np.unique(names))
    numbered = grow(growth, model, X, numbers, [1, 3], classes=np.unique(numbers))
    assert np.array_equal(named.coef_, numbered.coef_)


@pytest.mark.parametrize(
    "growth", [PartialFit(max_resources=9), WarmStart(resource="last__n_estimators", max_resources=9)]
)
def test_step_names_route_fit_parameters_as_the_pipeline_does(growth):
    X, y = IRIS
    weights = np.linspace(1, 2, len(y))
    last = Recorder() if isinstance(growth, PartialFit) else RandomForestClassifier(random_state=0)
    estimator = Pipeline([("first", Counter()), ("last", last)])
    fit_params = {"first__sample_weight": weights, "last__sample_weight": weights[::-1]}
    model = grow(growth, estimator, X, y, [1, 3, 9], fit_params=fit_params)
    assert np.array_equal(model["first"].sample_weight_, weights)
    if isinstance(growth, PartialFit):
        for call in model["last"].calls_:
            order = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in call["X"][:5]]
            assert np.allclose(call["sample_weight"][:5], weights[::-1][order], atol=0.01)
    else:
        once = clone(estimator).set_params(last__n_estimators=9).fit(X, y, **fit_params)
        assert np.array_equal(outputs(model, X), outputs(once, X))


def test_metadata_is_routed_to_the_steps_that_ask_for_it():
    X, y = IRIS
    weights = np.linspace(1, 2, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        for asks_first, asks_last in [(True, True), (True, False), (False, True)]:
            first = Counter().set_fit_request(sample_weight=asks_first)
            last = RandomForestClassifier(random_state=0).set_fit_request(sample_weight=asks_last)
            estimator = Pipeline([("first", first), ("last", last)])
            growth = WarmStart(resource="last__n_estimators", max_resources=9)
            model = grow(growth, estimator, X, y, [1, 3, 9], fit_params={"sample_weight": weights})
            once = clone(estimator).set_params(last__n_estimators=9).fit(X, y, sample_weight=weights)
            assert np.array_equal(outputs(model, X), outputs(once, X))
            assert (model["first"].sample_weight_ is not None) == asks_first
        plain = RandomForestClassifier(random_state=0)
        with pytest.raises(ValueError, match="sample_weight"):
            grow(growth, Pipeline([("last", plain)]), X, y, [1], fit_params={"sample_weight": weights})


@pytest.mark.parametrize("asks", [True, "weights"])
def test_passes_get_the_metadata_that_is_routed_to_fit(asks):
    X, y = np.column_stack([np.arange(150.0), IRIS[0]]), IRIS[1]
    name = asks if isinstance(asks, str) else "sample_weight"
    with sklearn.config_context(enable_metadata_routing=True):
        first = Counter().set_fit_request(sample_weight=asks)
        last = SGDClassifier(random_state=0).set_fit_request(sample_weight=asks)
        growth = PartialFit(max_resources=9)
        for weights in (np.arange(150.0), np.where(y == 2, 0.0, 1.0)):
            estimator = Pipeline([("first", first), ("last", last)])
            grown = grow(growth, estimator, X, y, [1, 3, 9], fit_params={name: weights}, classes=[0, 1, 2])
            alone = grow(growth, last, X, y, [9], fit_params={"sample_weight": weights}, classes=[0, 1, 2])
            assert np.array_equal(grown["last"].coef_, alone.coef_)
            assert np.array_equal(grown["first"].sample_weight_, weights)


COEFFICIENTS = np.full((3, 4), 0.5)


def test_fit_parameters_without_a_place_in_partial_fit_are_refused():
    message = r"no place for the fit parameter 'coef_init': SGDClassifier.partial_fit takes X, y, classes"
    with pytest.raises(ValueError, match=message + ".*use resource='max_iter'"):
        resolve(SGDClassifier(), "partial_fit", fit_params=["sample_weight", "coef_init"])
    assert resolve(SGDClassifier(), fit_params=["sample_weight", "coef_init"]).growth.resource == "max_iter"
    pipeline = make_pipeline(Counter(), SGDClassifier())
    with pytest.raises(ValueError, match=message + ".*use resource='sgdclassifier__max_iter'"):
        resolve(pipeline, "partial_fit", fit_params=["sgdclassifier__coef_init"])
    with pytest.raises(ValueError, match=r"'note': GaussianNB.partial_fit takes .*use resource='n_samples'"):
        resolve(GaussianNB(), "partial_fit", fit_params=["note"])
    for names in (["counter__sample_weight"], ["sgdclassifier__sample_weight"]):
        assert isinstance(resolve(pipeline, fit_params=names).growth, PartialFit)
    with sklearn.config_context(enable_metadata_routing=True):
        for asks, names in [(True, ["coef_init"]), ("start", ["start"])]:
            pipeline = make_pipeline(Counter(), SGDClassifier().set_fit_request(coef_init=asks))
            with pytest.raises(ValueError, match=message):
                resolve(pipeline, "partial_fit", fit_params=names)
            assert resolve(pipeline, fit_params=names).growth.resource == "sgdclassifier__max_iter"
        pipeline = make_pipeline(Counter().set_fit_request(sample_weight=True), SGDClassifier())
        assert isinstance(resolve(pipeline, fit_params=["sample_weight"]).growth, PartialFit)


def always_one(estimator, X, y):
    return 1.0


@pytest.mark.parametrize("asks", [True, "weights"])
@pytest.mark.parametrize("steps", [(), (PCA(3),)])
@pytest.mark.parametrize("make", [MultiOutputClassifier, OneVsRestClassifier])
def test_passes_within_a_meta_estimator_need_what_is_routed_requested_for_them(make, steps, asks):
    """scikit-learn routes what is requested for `partial_fit` there; its error would come from every fit."""
    X, y = IRIS
    y = np.column_stack([y, y]) if make is MultiOutputClassifier else y
    name = asks if isinstance(asks, str) else "sample_weight"
    with sklearn.config_context(enable_metadata_routing=True):
        inner = SGDClassifier(random_state=0)
        last = make(inner.set_fit_request(sample_weight=asks))
        estimator = make_pipeline(*steps, last) if steps else last
        grid = {f"{make.__name__.lower()}__estimator__alpha" if steps else "estimator__alpha": [1e-4, 1e-3, 1e-2]}
        search = HyperbandSearchCV(
            estimator,
            grid,
            resource="partial_fit",
            max_resources=3,
            scoring=always_one,
            random_state=0,
            error_score="raise",
        )
        with pytest.raises(
            ValueError, match=f"needs {name} requested for partial_fit within {make.__name__}.*'n_samples'"
        ):
            search.fit(X, y, **{name: np.ones(150)})
        rows = clone(search).set_params(resource="auto", max_resources="auto")
        assert rows.fit(X, y, **{name: np.ones(150)}).resource_ == "n_samples"
        inner.set_partial_fit_request(sample_weight=asks)
        search.set_params(estimator=make_pipeline(*steps, make(inner)) if steps else make(inner))
        weights = np.where(IRIS[1] == 2, 0.0, 1.0)
        assert 2 not in search.fit(X, y, **{name: weights}).predict(X)


def test_passes_need_an_estimator_that_makes_them_in_every_choice_of_the_step():
    pipeline = Pipeline([("scale", StandardScaler()), ("clf", SGDClassifier())])
    search = HyperbandSearchCV(pipeline, {"clf": [SGDClassifier(), SVC()]}, resource="partial_fit")
    with pytest.raises(ValueError, match=r"needs an estimator with partial_fit, SVC has none.*'n_samples'"):
        search.fit(*IRIS)


def test_one_against_one_learns_labels_that_are_words():
    """Its `partial_fit` would compare them with numbers."""
    X, y = IRIS
    search = HyperbandSearchCV(
        OneVsOneClassifier(SGDClassifier(random_state=0)),
        {"estimator__alpha": [1e-4, 1e-3, 1e-2]},
        random_state=0,
        error_score="raise",
    ).fit(X, np.array(["a", "b", "c"])[y])
    assert search.resource_ == "n_samples"
    assert search.best_score_ > 0.8


def test_a_search_refuses_them_before_any_fit():
    X, y = IRIS
    space = {"alpha": [1e-4, 1e-3, 1e-2]}
    search = HyperbandSearchCV(NeverFitted(), space, resource="partial_fit", max_resources=3)
    with pytest.raises(ValueError, match="no place for the fit parameter 'coef_init'"):
        search.fit(X, y, coef_init=COEFFICIENTS)


class Weighs(SGDClassifier):
    """Takes a weight for each column of X."""

    def partial_fit(self, X, y, classes=None, sample_weight=None, scale=None):
        self.scale_ = scale
        return super().partial_fit(X * scale, y, classes=classes, sample_weight=sample_weight)


@pytest.mark.parametrize("nested", [False, True])
def test_what_has_no_entry_per_row_keeps_its_order_even_if_it_is_as_long_as_a_fold(nested):
    X = np.random.default_rng(0).normal(size=(15, 10))
    scale, model = np.arange(10.0), Weighs(random_state=0)
    seen = []

    def score(estimator, X, y):
        seen.append((estimator[-1] if nested else estimator).scale_)
        return 0.0

    search = HyperbandSearchCV(
        make_pipeline(StandardScaler(), model) if nested else model,
        {"weighs__alpha" if nested else "alpha": [1e-4, 1e-3]},
        resource="partial_fit",
        max_resources=3,
        cv=KFold(3),
        scoring=score,
        refit=False,
    )
    search.fit(X, np.arange(15) % 2, **{"weighs__scale" if nested else "scale": scale})
    assert len(seen) >= 6
    assert all(np.array_equal(order, scale) for order in seen)


class NeverFitted(SGDClassifier):
    def fit(self, *arguments, **more):
        raise AssertionError

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        raise AssertionError


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_coefficients_to_start_from_are_not_started_from_twice():
    X, y = IRIS
    fit_params = {"coef_init": COEFFICIENTS, "intercept_init": np.zeros(3)}
    model = SGDClassifier(random_state=0)
    grown = grow(WarmStart(resource="max_iter", max_resources=9), model, X, y, [1, 3, 9], fit_params=fit_params)
    once = clone(model).set_params(max_iter=9).fit(X, y, **fit_params)
    assert np.array_equal(grown.coef_, once.coef_)


# --- Pipelines --------------------------------------------------------------------------------------------


def test_steps_before_the_last_are_fitted_once():
    X, y = IRIS
    estimator = Pipeline([("first", Counter()), ("last", SGDClassifier(random_state=0))])
    for growth in (PartialFit(max_resources=9), WarmStart(resource="last__max_iter", max_resources=9)):
        Counter.fits = 0
        with pytest.warns(ConvergenceWarning) if isinstance(growth, WarmStart) else nullcontext():
            grow(growth, estimator, X, y, [1, 3, 9], classes=[0, 1, 2])
        assert Counter.fits == 1


def test_a_search_fits_them_once_for_each_trial_and_fold():
    X, y = IRIS
    estimator = Pipeline([("first", Counter()), ("last", SGDClassifier(random_state=0))])
    search = HyperbandSearchCV(
        estimator,
        {"last__alpha": [1e-5, 1e-4, 1e-3, 1e-2]},
        max_resources=9,
        schedule="hyperband",
        cv=3,
        random_state=0,
    )
    Counter.fits = 0
    search.fit(X, y)
    assert len(search.history_) > len(search.cv_results_["params"])
    assert Counter.fits == 3 * len(search.cv_results_["params"]) + 1


def colours(n):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"colour": rng.choice(["red", "green", "blue"], n), "size": rng.normal(size=n)})


class CrossFitted(TransformerMixin, BaseEstimator):
    """Gives other values to the rows it is fitted on, as TargetEncoder does."""

    def fit(self, X, y=None):
        return self

    def fit_transform(self, X, y=None, **params):
        return np.round(np.asarray(X), 1)

    def transform(self, X):
        return np.asarray(X)


def test_steps_that_transform_otherwise_than_they_fit_transform_keep_the_fold():
    frame = colours(150)
    y = IRIS[1]
    target = make_column_transformer((CrossFitted(), ["size"]), remainder="drop")
    estimator = Pipeline([("encode", target), ("last", RandomForestClassifier(random_state=0))])
    growth = WarmStart(resource="last__n_estimators", max_resources=9)
    paused = grow(growth, estimator, frame, y, [1, 3])
    assert "_kept_fold" in vars(paused)
    done = growth.fit(paused, Fold(frame, y, {}, SEED), n_resources=9, trained=3)
    assert "_kept_fold" not in vars(done)
    once = clone(estimator).set_params(last__n_estimators=9).fit(frame, y)
    assert np.array_equal(outputs(done, frame), outputs(once, frame))


@pytest.mark.parametrize("make", [sparse.coo_matrix, sparse.bsr_matrix, sparse.coo_array, sparse.csc_array])
def test_passes_take_sparse_rows_of_any_format_from_the_steps_before(make):
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(FunctionTransformer(make, accept_sparse=True), SGDClassifier(random_state=0))
    plain = make_pipeline(FunctionTransformer(sparse.csr_array), SGDClassifier(random_state=0))
    growth = PartialFit(max_resources=9)
    fold = Fold(X, y, {}, SEED, np.unique(y))
    grown, expected = (growth.fit(each, fold, n_resources=3, trained=0) for each in (model, plain))
    np.testing.assert_array_equal(grown[-1].coef_, expected[-1].coef_)


def test_passes_refuse_targets_of_another_length():
    X, y = load_iris(return_X_y=True)
    fold = Fold(X, y[:-1], {}, SEED, np.unique(y))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PartialFit(max_resources=9).fit(SGDClassifier(), fold, n_resources=1, trained=0)


@pytest.mark.parametrize("sparse_output", [True, False])
def test_steps_that_repeat_themselves_keep_nothing(sparse_output):
    frame = colours(150)
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=sparse_output), ["colour"]), (StandardScaler(), ["size"]), sparse_threshold=1.0
    )
    for output in ("default", "pandas") if not sparse_output else ("default",):
        estimator = Pipeline([("encode", clone(encode).set_output(transform=output)), ("last", SGDClassifier())])
        paused = grow(PartialFit(max_resources=9), estimator, frame, IRIS[1], [1, 3], classes=[0, 1, 2])
        assert "_kept_fold" not in vars(paused)


def doubled_in_place(frame):
    frame["size"] = frame["size"] * 2 + 1
    return frame


@pytest.mark.parametrize(
    ("steps", "frame"),
    [
        ([StandardScaler(copy=False)], False),
        ([PowerTransformer(copy=False), "passthrough"], False),
        ([FunctionTransformer(doubled_in_place)], True),
    ],
)
def test_steps_that_work_in_place_are_applied_once(steps, frame):
    """What a fold is for is made of rows of its own: these steps overwrite them."""
    X, y = IRIS
    rows = colours(150)[["size"]].copy if frame else (X * 3 + 7).copy
    model = GradientBoostingRegressor(random_state=0)
    names = [f"step{number}" for number in range(len(steps))]
    estimator = Pipeline([*zip(names, steps, strict=True), ("last", model)])
    growth = WarmStart(resource="last__n_estimators", max_resources=9)
    grown, trained = clone(estimator), 0
    for level in (1, 3, 9):
        grown = pickle.loads(
            pickle.dumps(growth.fit(grown, Fold(rows(), y, {}, SEED), n_resources=level, trained=trained))
        )
        once = clone(estimator).set_params(last__n_estimators=level).fit(rows(), y)
        assert np.array_equal(grown.predict(rows()), once.predict(rows()))
        trained = level


class Uncopyable(np.ndarray):
    """Rows that cannot be copied."""

    def __copy__(self):
        raise TypeError


def test_rows_that_cannot_be_copied_are_kept_as_the_steps_made_them():
    X, y = IRIS
    estimator = make_pipeline(StandardScaler(), GradientBoostingRegressor(random_state=0))
    growth = WarmStart(resource="gradientboostingregressor__n_estimators", max_resources=9)
    paused = growth.fit(clone(estimator), Fold(X.view(Uncopyable), y, {}, SEED), n_resources=3, trained=0)
    assert "_kept_fold" in vars(paused)
    done = growth.fit(paused, Fold(X, y, {}, SEED), n_resources=9, trained=3)
    once = clone(estimator).set_params(gradientboostingregressor__n_estimators=9).fit(X, y)
    assert np.array_equal(done.predict(X), once.predict(X))


class Word:
    """Equal to nothing but itself."""


@pytest.mark.parametrize("steps", [["passthrough"], [FunctionTransformer()], [None, FunctionTransformer()]])
@pytest.mark.parametrize("as_list", [True, False])
def test_objects_that_are_passed_on_are_not_kept(steps, as_list):
    rows = [[Word(), math.nan, number] for number in range(150)]
    model = RecordsRows()
    estimator = Pipeline([*((f"step{number}", step) for number, step in enumerate(steps)), ("last", model)])
    X = rows if as_list else np.array(rows, dtype=object)
    paused = WarmStart(resource="last__n_estimators", max_resources=9).fit(
        estimator, Fold(X, IRIS[1], {}, SEED), n_resources=3, trained=0
    )
    assert "_kept_fold" not in vars(paused)


class RecordsRows(RandomForestClassifier):
    """Takes rows of any kind."""

    def fit(self, X, y):
        self.n_rows_ = len(X)
        return self


class Resampler(BaseEstimator):
    """Changes the number of rows, which only some Pipelines allow."""

    def fit_resample(self, X, y):
        return np.vstack([X, X[:10]]), np.concatenate([y, y[:10]])


class ResamplingPipeline(Pipeline):
    """As imbalanced-learn's: steps may resample during fit and are passed over later."""

    def fit(self, X, y=None, **params):
        X, y = self.steps[0][1].fit_resample(X, y)
        self.steps[-1][1].fit(X, y, **params)
        return self


def test_pipelines_of_other_packages_fit_their_steps_in_their_own_way():
    X, y = IRIS
    estimator = ResamplingPipeline([("resample", Resampler()), ("last", RandomForestClassifier(random_state=0))])
    growth = WarmStart(resource="last__n_estimators", max_resources=9)
    grown = grow(growth, estimator, X, y, [1, 3, 9])
    once = clone(estimator).set_params(last__n_estimators=9).fit(X, y)
    assert np.array_equal(outputs(grown["last"], X), outputs(once["last"], X))


def test_nested_pipelines_and_steps_passed_through_grow_too(tmp_path):
    X, y = IRIS
    inner = Pipeline(
        [("select", SelectKBest(k=3)), ("skip", "passthrough"), ("clf", ExtraTreesClassifier(random_state=0))]
    )
    estimator = Pipeline([("scale", StandardScaler()), ("inner", inner)], memory=str(tmp_path))
    growth = WarmStart(resource="inner__clf__n_estimators", max_resources=9)
    grown = grow(growth, estimator, X, y, [1, 3, 9])
    once = clone(estimator).set_params(inner__clf__n_estimators=9).fit(X, y)
    assert np.array_equal(outputs(grown, X), outputs(once, X))


def test_texts_frames_sparse_matrices_and_missing_y_grow():
    texts = [f"word{i % 7} and word{i % 3}" for i in range(150)]
    y = IRIS[1]
    growth = PartialFit(max_resources=9)
    for vectorizer in (HashingVectorizer(n_features=32), CountVectorizer()):
        pipeline = make_pipeline(vectorizer, SGDClassifier(random_state=0))
        grown = grow(growth, pipeline, texts, y.tolist(), [1, 3, 9], classes=[0, 1, 2])
        once = grow(growth, pipeline, texts, y.tolist(), [9], classes=[0, 1, 2])
        assert np.array_equal(outputs(grown, texts), outputs(once, texts))
    X = IRIS[0]
    for data in (pd.DataFrame(X), sparse.csr_array(X), sparse.csc_matrix(X), X.tolist()):
        grown = grow(growth, SGDClassifier(random_state=0), data, pd.Series(y), [1, 3], classes=[0, 1, 2])
        once = grow(growth, SGDClassifier(random_state=0), data, y, [3], classes=[0, 1, 2])
        assert np.array_equal(grown.coef_, once.coef_)
    pipeline = make_pipeline(StandardScaler(), MiniBatchKMeans(n_clusters=3, n_init=1, random_state=0))
    assert grow(growth, pipeline, X, None, [1, 3]).predict(X).shape == (150,)


def test_polars_frames_grow():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(IRIS[0], schema=list("abcd"))
    growth = PartialFit(max_resources=9)
    estimator = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
    grown = grow(growth, estimator, frame, polars.Series(IRIS[1]), [1, 3], classes=[0, 1, 2])
    assert grown.predict(frame).shape == (150,)


# --- iterations of one fit --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", OLD_SCIPY_CALL)
@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier(hidden_layer_sizes=(4,), random_state=0),
        SGDClassifier(random_state=0, tol=None),
        LogisticRegression(tol=1e-12),
        Perceptron(random_state=0, tol=None),
    ],
)
def test_a_max_iter_of_one_fit_is_set_to_the_difference(model):
    X, y = IRIS
    growth = WarmStart(resource="max_iter", max_resources=100)
    grown = grow(growth, model, X, y, [4, 12])
    assert np.max(grown.n_iter_) == 8
    assert grown.max_iter == 12
    assert grown.warm_start is False


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", OLD_SCIPY_CALL)
@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "sag"])
def test_iterations_that_go_on_come_nearer_to_the_solution(solver):
    X, y = StandardScaler().fit_transform(IRIS[0]), IRIS[1]
    model = LogisticRegression(solver=solver, tol=1e-10, random_state=0)
    solution = clone(model).set_params(max_iter=5000).fit(X, y).coef_
    growth = WarmStart(resource="max_iter", max_resources=1000)
    distances = [np.abs(grow(growth, model, X, y, levels).coef_ - solution).max() for levels in ([3], [3, 30, 1000])]
    assert distances[1] < 1e-3 < distances[0]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", OLD_SCIPY_CALL)
def test_a_solver_without_warm_start_is_fitted_anew():
    X, y = IRIS[0][:100], IRIS[1][:100]
    model = LogisticRegression(solver="liblinear", tol=1e-12, random_state=0)
    grown = grow(WarmStart(resource="max_iter", max_resources=100), model, X, y, [2, 6])
    assert np.array_equal(grown.coef_, clone(model).set_params(max_iter=6).fit(X, y).coef_)


def test_a_warm_start_of_the_users_own_changes_nothing():
    X, y = IRIS
    forest = RandomForestClassifier(random_state=0, warm_start=True)
    grown = grow(WarmStart(resource="n_estimators", max_resources=9), forest, X, y, [1, 3, 9])
    once = clone(forest).set_params(n_estimators=9).fit(X, y)
    assert np.array_equal(outputs(grown, X), outputs(once, X))
    assert grown.warm_start is True


def test_a_growth_changes_the_estimator_it_is_given():
    """Callbacks of scikit-learn that a search has put on it stay there."""
    X, y = IRIS
    for estimator in (
        GradientBoostingClassifier(n_iter_no_change=3),
        make_pipeline(PCA(), GradientBoostingClassifier()),
    ):
        growth = WarmStart(resource=resolve(estimator).growth.resource, max_resources=9)
        last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        for trained, n_resources in [(0, 1), (1, 3), (3, 9)]:
            model = growth.fit(estimator, Fold(X, y, {}, SEED), n_resources=n_resources, trained=trained)
            assert model is estimator
            assert last is (estimator[-1] if isinstance(estimator, Pipeline) else estimator)


def test_a_searched_step_that_cannot_grow_is_fitted_anew():
    X, y = IRIS
    estimator = Pipeline([("last", NoWarmStart())])
    grown = grow(WarmStart(resource="last__n_estimators", max_resources=9), estimator, X, y, [1, 3])
    assert grown["last"].size_ == 3


class NoWarmStart(ClassifierMixin, BaseEstimator):
    """Counts members but cannot grow."""

    def __init__(self, n_estimators=5):
        self.n_estimators = n_estimators

    def fit(self, X, y):
        self.size_ = self.n_estimators
        return self


# --- other growths ----------------------------------------------------------------------------------------


def test_any_integer_parameter_grows_by_fitting_anew():
    X, y = IRIS
    growth = Refit(resource="max_depth")
    grown = grow(growth, RandomForestClassifier(n_estimators=3, random_state=0), X, y, [1, 3])
    assert max(tree.get_depth() for tree in grown.estimators_) == 3
    assert not growth.resumes


def test_every_growth_pickles_and_keeps_the_protocol():
    for growth in (
        PartialFit(max_resources=9),
        WarmStart(resource="n_estimators", max_resources=9),
        Refit(resource="max_depth"),
        Samples(n_rows=100, stratify=True),
    ):
        assert isinstance(growth, Growth)
        assert pickle.loads(pickle.dumps(growth)) == growth
    train = np.array([4, 2, 8])
    for growth in (
        PartialFit(max_resources=9),
        WarmStart(resource="n_estimators", max_resources=9),
        Refit(resource="d"),
    ):
        assert growth.rows(train, None, None, n_resources=1, seed=SEED) is train


# --- the choice of a resource -------------------------------------------------------------------------------


class Combined(SGDClassifier):
    """Refuses some combinations at once."""

    def __init__(self, kind="a", alpha=1e-4):
        super().__init__(alpha=alpha)
        self.kind = kind

    def set_params(self, **params):
        if params.get("kind") == "b" and "alpha" not in params:
            raise ValueError("kind='b' needs another alpha.")
        return super().set_params(**params)


@pytest.mark.parametrize(
    ("estimator", "searched", "resource", "least", "most"),
    [
        (SGDClassifier(), ["alpha"], "partial_fit", 1, 81),
        (SGDClassifier(), ["alpha", "max_iter"], "n_samples", 30, 1000),
        (make_pipeline(StandardScaler(), SGDClassifier()), ["sgdclassifier__alpha"], "partial_fit", 1, 81),
        (SGDClassifier(early_stopping=True), [], "max_iter", 111, 1000),
        (MLPClassifier(solver="lbfgs"), [], "max_iter", 22, 200),
        (RandomForestClassifier(), [], "n_estimators", 11, 100),
        (RandomForestClassifier(n_estimators=810), [], "n_estimators", 90, 810),
        (RandomForestClassifier(), ["n_estimators"], "n_samples", 30, 1000),
        (HistGradientBoostingRegressor(), [], "max_iter", 11, 100),
        (
            make_pipeline(StandardScaler(), GradientBoostingRegressor()),
            [],
            "gradientboostingregressor__n_estimators",
            11,
            100,
        ),
        (
            make_pipeline(PCA(), make_pipeline(PCA(), BaggingRegressor())),
            [],
            "pipeline__baggingregressor__n_estimators",
            1,
            10,
        ),
        (make_pipeline(PCA(), RandomForestClassifier()), ["randomforestclassifier"], "n_samples", 30, 1000),
        (make_pipeline(PCA(), "passthrough"), [], "n_samples", 12, 1000),
        (Lasso(), [], "max_iter", 111, 1000),
        (GaussianMixture(), [], "max_iter", 11, 100),
        (SVC(), ["C"], "n_samples", 30, 1000),
        (Ridge(), [], "n_samples", 12, 1000),
        (ComplementNB(), ["alpha"], "n_samples", 12, 1000),
        (OneVsRestClassifier(MultinomialNB()), [], "n_samples", 30, 1000),
        (MultiOutputClassifier(OneVsRestClassifier(GaussianNB())), [], "n_samples", 30, 1000),
        (make_pipeline(PCA(), IncrementalPCA()), [], "n_samples", 12, 1000),
        (SelectFromModel(SGDClassifier()), ["threshold"], "n_samples", 30, 1000),
        (SelectFromModel(SGDRegressor()), ["threshold"], "partial_fit", 1, 81),
    ],
)
def test_auto_takes_what_the_last_step_can_grow(estimator, searched, resource, least, most):
    n_classes = 3 if isinstance(estimator, SVC) or "Classifier" in repr(estimator) else None
    resolved = resolve(estimator, searched_names=searched, n_classes=n_classes)
    assert (resolved.growth.resource, resolved.min_resources, resolved.max_resources) == (resource, least, most)
    assert resolved.growth.resumes == (resource != "n_samples")


class HandsOn(ClassifierMixin, BaseEstimator):
    """Who knows whether what it wraps is to be told labels?"""

    def partial_fit(self, X, y, **others):
        self.model_ = MultiOutputClassifier(SGDClassifier()).partial_fit(X, y, **others)
        return self


@pytest.mark.parametrize(
    ("estimator", "resource"),
    [
        (HandsOn(), "n_samples"),
        (MultiOutputClassifier(SGDClassifier()), "partial_fit"),
        (MLPClassifier(), "partial_fit"),
        (OneVsRestClassifier(GaussianNB()), "n_samples"),
        (RandomForestClassifier(), "n_estimators"),
    ],
)
def test_auto_takes_passes_for_several_targets_where_labels_can_be_told(estimator, resource):
    assert resolve(estimator, n_classes=(2, 7)).growth.resource == resource
    assert resolve(estimator, "n_samples", n_classes=(2, 7)).min_resources == 5 * 2 * 7


def test_a_named_parameter_grows_by_warm_starts_where_it_can():
    forest = RandomForestClassifier()
    assert resolve(forest, "n_estimators").growth == WarmStart(resource="n_estimators", max_resources=100)
    assert resolve(forest, "max_depth", max_resources=27).growth == Refit(resource="max_depth")
    assert resolve(NoWarmStart(), "n_estimators").growth == Refit(resource="n_estimators")
    pipeline = make_pipeline(PCA(n_components=9), forest)
    assert resolve(pipeline, "pca__n_components").growth == Refit(resource="pca__n_components")
    assert resolve(pipeline, "pca__n_components").max_resources == 9
    assert resolve(SGDClassifier(), "max_iter").growth == WarmStart(resource="max_iter", max_resources=1000)


def test_iterations_of_unknown_classes_are_not_guessed():
    class Foreign(ClassifierMixin, BaseEstimator):
        def __init__(self, max_iter=10, warm_start=False):
            self.max_iter = max_iter
            self.warm_start = warm_start

    class Own(HistGradientBoostingClassifier):
        pass

    assert resolve(Foreign(), "max_iter").growth == Refit(resource="max_iter")
    assert resolve(Foreign()).growth.resource == "n_samples"
    assert resolve(Own()).growth.resource == "max_iter"


def test_amounts_given_are_taken():
    resolved = resolve(SGDClassifier(), min_resources=2, max_resources=np.int64(20))
    assert resolved == (PartialFit(max_resources=20), 2, 20)
    resolved = resolve(Ridge(), min_resources=50, max_resources=500, n_classes=None)
    assert resolved == (Samples(n_rows=1000, stratify=False, least=50), 50, 500)
    assert resolve(SVC(), n_rows=12, n_splits=5).min_resources == 12
    assert resolve(SVC(), n_rows=100_000).min_resources == 1234
    assert resolve(SGDClassifier(), factor=2).min_resources == 1
    assert resolve(RandomForestClassifier(n_estimators=1000), factor=4).min_resources == 250
    assert resolve(RandomForestClassifier(n_estimators=1000), factor=2).min_resources == 125
    assert resolve(RandomForestClassifier(n_estimators=1000), factor=10).min_resources == 100


@pytest.mark.parametrize(
    ("estimator", "categories", "resource"),
    [
        (MLPClassifier(), {"early_stopping": [False, True]}, "max_iter"),
        (MLPClassifier(), {"early_stopping": [False], "solver": ["adam", "sgd"]}, "partial_fit"),
        (
            make_pipeline(PCA(), MLPClassifier()),
            {"mlpclassifier__solver": ["adam", "lbfgs"]},
            "mlpclassifier__max_iter",
        ),
        (make_pipeline(PCA(), MLPClassifier()), {"pca__svd_solver": ["full", "lbfgs"]}, "partial_fit"),
        (SGDClassifier(), {"class_weight": ["balanced", None]}, "partial_fit"),
        (OneVsRestClassifier(SGDClassifier()), {"estimator__class_weight": [None, "balanced"]}, "n_samples"),
        (OneVsRestClassifier(SGDClassifier(class_weight="balanced")), {}, "n_samples"),
        (OneVsRestClassifier(SGDClassifier(early_stopping=True)), {}, "n_samples"),
        (OneVsRestClassifier(SGDClassifier()), {"estimator__early_stopping": [False, True]}, "n_samples"),
        (SGDClassifier(), {"early_stopping": [np.True_]}, "max_iter"),
        (Combined(), {"kind": ["a", "b"]}, "partial_fit"),
    ],
)
def test_passes_must_suit_all_that_is_searched(estimator, categories, resource):
    """Else most trials of the search would fail, for all fits of that value do."""
    arguments = {"searched_names": list(categories), "branches": [categories]}
    assert resolve(estimator, **arguments).growth.resource == resource
    if resource == "partial_fit":
        return
    said = r"class_weight='balanced'|early_stopping=(np.True_|True|False)|solver='lbfgs'"
    with pytest.raises(ValueError, match=said) as error:
        resolve(estimator, "partial_fit", **arguments)
    assert f"use resource='{resource}'" in str(error.value)
    names = [*categories, "max_iter", "mlpclassifier__max_iter"]
    if categories:
        with pytest.raises(ValueError, match="use resource='n_samples'"):
            resolve(estimator, "partial_fit", branches=[categories], searched_names=names)


@pytest.mark.parametrize(
    ("estimator", "arguments", "message"),
    [
        (
            RandomForestClassifier(),
            {"resource": "n_estimators", "searched_names": ["n_estimators"]},
            "is also searched",
        ),
        (SVC(), {"resource": "partial_fit"}, "SVC has none as it is set; use resource='n_samples'"),
        (SGDClassifier(early_stopping=True), {"resource": "partial_fit"}, "needs early_stopping=False"),
        (MLPClassifier(solver="lbfgs"), {"resource": "partial_fit"}, "MLPClassifier has none as it is set"),
        (SVC(), {"resource": "n_estimators"}, "neither 'partial_fit' nor 'n_samples' nor a parameter"),
        (
            make_pipeline(PCA(), RandomForestClassifier()),
            {"resource": "n_estimators"},
            "did you mean 'randomforestclassifier__n_estimators'",
        ),
        (SelectFromModel(SGDClassifier()), {"resource": "partial_fit"}, "does not suit SelectFromModel: .* all labels"),
        (SVC(), {"resource": "C"}, "must be an integer parameter, the estimator has 1.0"),
        (SVC(), {"resource": "shrinking"}, "must be an integer parameter, the estimator has True"),
        (SVC(), {"resource": "kernel"}, "must be an integer parameter, the estimator has 'rbf'"),
        (SVC(), {"resource": "max_iter"}, "takes the estimator's max_iter, which is -1; set a number"),
        (RandomForestClassifier(), {"resource": "max_depth"}, "which is None; set a number"),
        (SVC(), {"max_resources": 1001}, "more than the 1000 training rows"),
        (SVC(), {"n_rows": None}, "pass X and y, or set max_resources"),
        (SVC(), {"min_resources": 501, "max_resources": 500}, "min_resources=501 is greater than max_resources=500"),
        (SVC(), {"min_resources": 0}, "min_resources must be 'auto' or an integer of at least 1, got 0"),
        (SVC(), {"min_resources": True}, "min_resources must be 'auto' or an integer"),
        (SVC(), {"max_resources": 2.5}, "max_resources must be 'auto' or an integer of at least 1, got 2.5"),
        (SVC(), {"max_resources": "all"}, "max_resources must be 'auto' or an integer"),
        (SVC(), {"factor": 1}, "factor must be a finite number greater than 1"),
    ],
)
def test_resources_without_sense_are_refused(estimator, arguments, message):
    with pytest.raises(ValueError, match=message):
        resolve(estimator, **arguments)


# --- paused models ------------------------------------------------------------------------------------------


def test_a_spool_gives_back_what_was_kept_last():
    with Spool() as spool:
        assert spool.load(3, 1) == (None, 0)
        spool.save(3, 1, "young", 1)
        spool.save(3, 1, "old", 9)
        spool.save(3, 2, "other", 1)
        assert spool.load(3, 1) == ("old", 9)
        spool.discard(3, 1)
        spool.discard(3, 1)
        assert spool.load(3, 1) == (None, 0)
        assert spool.load(3, 2) == ("other", 1)


def test_a_spool_leaves_nothing_behind_also_after_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    opened = []

    def search():
        with Spool() as spool:
            opened.append(spool)
            spool.save(0, 0, "model", 1)
            assert [path.name for path in tmp_path.iterdir()] == [Path(spool.folder).name]
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        search()
    spool = opened[0]
    assert Path(spool.folder).name.startswith("sksearch-")
    assert list(tmp_path.iterdir()) == []
    spool.close()
    spool.save(0, 0, "late", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_save_that_fails_keeps_the_earlier_model(tmp_path):
    spool = Spool(folder=str(tmp_path))
    spool.save(0, 0, "model", 1)
    with pytest.raises(TypeError, match="pickle"):
        spool.save(0, 0, (i for i in range(3)), 3)
    assert spool.load(0, 0) == ("model", 1)
    assert len(list(tmp_path.iterdir())) == 1


class _NoWayBack(Exception):  # noqa: N818
    """Pickles, and cannot be read again: a classic mistake."""

    def __init__(self, a, b):
        super().__init__(a)


class HoldsWhat(SGDClassifier):
    """Keeps something that cannot be stored and read again."""

    what: Any = None

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        self.held_ = self.what()
        return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)


class HoldsLock(HoldsWhat):
    what = staticmethod(threading.Lock)


class HoldsNoWayBack(HoldsWhat):
    what = staticmethod(lambda: _NoWayBack(1, 2))


class _Lost:
    """Misses a file when it is read again."""

    def __setstate__(self, state):
        raise FileNotFoundError

    def __getstate__(self):
        return {"a": 1}


class HoldsLost(HoldsWhat):
    what = _Lost


@pytest.mark.parametrize("kind", [HoldsLock, HoldsNoWayBack, HoldsLost])
def test_models_that_cannot_be_kept_are_trained_anew_and_it_is_said(kind):
    settings = {"cv": 3, "max_resources": 9, "random_state": 0, "sampler": "random", "error_score": "raise"}
    plain = HyperbandSearchCV(SGDClassifier(random_state=0), {"alpha": loguniform(1e-5, 1)}, **settings).fit(*IRIS)
    with pytest.warns(RuntimeWarning, match="could not be stored and read again, so it is trained anew") as told:
        search = HyperbandSearchCV(kind(random_state=0), {"alpha": loguniform(1e-5, 1)}, **settings).fit(*IRIS)
    assert sum("trained anew" in str(warning.message) for warning in told) == 1
    for column in ("split0_test_score", "mean_test_score", "n_resources"):
        assert np.array_equal(search.cv_results_[column], plain.cv_results_[column], equal_nan=True)


def test_a_search_that_ends_before_its_first_fit_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))

    def begin_search(*_: Any) -> None:
        assert len(list(tmp_path.iterdir())) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr("sksearch._sklearn.SearchTasks.begin_search", begin_search)
    with pytest.raises(KeyboardInterrupt):
        HyperbandSearchCV(SGDClassifier(), {"alpha": loguniform(1e-5, 1)}, cv=3).fit(*IRIS)
    assert list(tmp_path.iterdir()) == []


class Model:
    """With what the steps before it made of its fold."""

    def __init__(self, name: str, kept: Any = None) -> None:
        self.name = name
        if kept is not None:
            self._kept_fold = kept


def occupied(folder: Path) -> int:
    """Bytes on the disk: names of one file count once."""
    files = {}
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # a worker has just renamed it
            files[path.stat().st_ino] = path.stat().st_size
    return sum(files.values())


def test_models_share_what_they_keep_of_their_fold(tmp_path):
    spool, X = Spool(folder=str(tmp_path)), np.random.default_rng(0).random((1000, 10))
    kept = {"X": X, "y": list("ab"), "fit_params": {}}
    for trial in range(5):
        for amount in (1, 3):
            model = Model(f"of trial {trial}", kept={**kept, "X": X.copy()})
            spool.save(trial, 0, model, amount)
            assert model._kept_fold["X"].shape == X.shape
    assert X.nbytes < occupied(tmp_path) < X.nbytes + 10_000
    spool.save(5, 0, Model("with another fold", kept={**kept, "X": X + 1.0}), 1)
    spool.save(6, 0, Model("of its own"), 1)
    assert 2 * X.nbytes < occupied(tmp_path) < 2 * X.nbytes + 10_000
    for trial in range(5):
        model, trained = spool.load(trial, 0)
        assert (model.name, trained) == (f"of trial {trial}", 3)
        assert np.array_equal(model._kept_fold["X"], X)
        assert model._kept_fold["y"] == ["a", "b"]
        spool.discard(trial, 0)
    assert np.array_equal(spool.load(5, 0)[0]._kept_fold["X"], X + 1.0)
    assert not hasattr(spool.load(6, 0)[0], "_kept_fold")
    assert X.nbytes < occupied(tmp_path) < X.nbytes + 10_000
    spool.save(5, 0, Model("with nothing any more"), 3)
    assert not hasattr(spool.load(5, 0)[0], "_kept_fold")
    for trial in (5, 6):
        spool.discard(trial, 0)
    spool.save(7, 0, Model("the last", kept=kept), 1)
    (tmp_path / "trial-7-fold-0.fold").unlink()
    assert spool.load(7, 0) == (None, 0)
    spool.save(7, 0, Model("the last", kept=kept), 1)
    spool.discard(7, 0)
    assert list(tmp_path.iterdir()) == []


def test_without_hard_links_every_model_has_its_own(tmp_path, monkeypatch):
    def refuse(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    spool, X = Spool(folder=str(tmp_path)), np.arange(1000.0)
    for trial in range(2):
        spool.save(trial, 0, Model("model", kept={"X": X}), 1)
        assert np.array_equal(spool.load(trial, 0)[0]._kept_fold["X"], X)
    assert 2 * X.nbytes < occupied(tmp_path) < 2 * X.nbytes + 10_000
    for trial in range(2):
        spool.discard(trial, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_keeps_the_fold_of_a_pipeline_once(tmp_path, monkeypatch, n_jobs):
    """PCA transforms otherwise than it fits and transforms: each of 143 models kept a copy of the rows."""
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    X = np.random.default_rng(0).normal(size=(400, 30))
    most = 0

    class Watch(RandomSampler):
        def suggest(self, history, rng):
            nonlocal most
            folders = [folder for folder in tmp_path.glob("sksearch-*") if any(folder.glob("trial-*"))]
            most = max([most, *map(occupied, folders)])
            return super().suggest(history, rng)

    space = {"sgdclassifier__alpha": loguniform(1e-5, 10)}
    sampler = Watch(Space.parse(space, argument="param_distributions"), [])
    pipeline = make_pipeline(PCA(29, svd_solver="full"), SGDClassifier(random_state=0))
    HyperbandSearchCV(pipeline, space, cv=3, sampler=sampler, max_resources=9, n_jobs=n_jobs, random_state=0).fit(
        X, X[:, 0] > 0
    )
    # two thirds of the rows in each of three folds, twice if two workers write them at one time, and PCA's components
    assert 2 * X.nbytes * 29 / 30 < most < 2 * n_jobs * X.nbytes + 17 * 3 * 12_000
    assert list(tmp_path.glob("sksearch-*")) == []


def test_another_process_finds_models_with_functions_of_its_script():
    with Spool() as spool:
        spool.save(0, 0, lambda x: x + 1, 1)
        code = f"import pickle; spool = pickle.loads({pickle.dumps(spool)!r}); print(spool.load(0, 0)[0](41))"
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert run.stdout.strip() == "42"
        assert spool.load(0, 0)[1] == 1


def test_a_class_of_a_script_is_the_same_after_a_search_in_its_process():
    """Pickled by value it came back with methods that were copies, and saw nothing that was defined later."""
    code = """
from sklearn.linear_model import SGDClassifier
from sksearch import HyperbandSearchCV

def helper():
    return "old"

class Model(SGDClassifier):
    def ask(self):
        return helper()

before = Model.ask
X, y = [[0.0], [1.0], [0.1], [0.9]] * 5, [0, 1, 0, 1] * 5
HyperbandSearchCV(Model(), {"alpha": [0.1, 0.01, 0.001]}, max_resources=9, cv=2, refit=False).fit(X, y)

def helper():
    return "new"

print(Model.ask is before, Model().ask())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "new"]


# --- jobs that are run again ----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("model", "resource"),
    [
        (SGDClassifier(random_state=0), "max_iter"),
        (SGDClassifier(random_state=0), "partial_fit"),
        (LogisticRegression(), "max_iter"),
        (GradientBoostingClassifier(random_state=0), "n_estimators"),
    ],
)
def test_a_job_that_was_lost_after_it_kept_its_model_is_run_again(model, resource):
    """Its worker died, say, before the unit came back: what it kept has had all the units of the job already."""
    X, y = IRIS
    splits = list(StratifiedKFold(3).split(X, y))
    growth = resolve(model, resource, max_resources=9).growth
    with Spool() as spool:
        growing = Growing(growth=growth, max_resources=9, spool=spool, groups=None, classes=np.unique(y), entropy=0)
        run = Evaluator(
            estimator=model,
            X=X,
            y=y,
            splits=splits,
            scorer=check_scoring(model),
            fit_params={},
            score_params={},
            return_train_score=False,
            error_score=np.nan,
            verbose=0,
            growing=growing,
        )
        job = Job(Evaluation(Trial(0, {}), n_resources=3), 1)
        (first,), (again,) = run([run.task(job)]), run([run.task(job)])
    assert first["error"] is again["error"] is None
    assert again["test_scores"] == first["test_scores"]
