"""Classes of the user's own: what their `fit` does beside that of the class they extend happens in a search, too.

The truth is `cross_val_score` of scikit-learn, which calls nothing but `fit`.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from abc import ABC, abstractmethod

import numpy as np
import pytest
import xgboost
from catboost import CatBoostClassifier
from imblearn.ensemble import EasyEnsembleClassifier
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline as ResamplingPipeline
from lightgbm import LGBMClassifier, early_stopping
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    TransformerMixin,
    clone,
    is_classifier,
)
from sklearn.cluster import Birch, MiniBatchKMeans
from sklearn.datasets import load_diabetes, make_classification
from sklearn.decomposition import IncrementalPCA, LatentDirichletAllocation, MiniBatchDictionaryLearning, MiniBatchNMF
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LogisticRegression, Perceptron, SGDClassifier, SGDOneClassSVM, SGDRegressor
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.metaestimators import available_if
from xgboost import XGBClassifier

from resolution import resolve
from sksearch import HyperbandSearchCV
from sksearch.resources import Boosting, Fold, PartialFit, Refit, WarmStart

X, Y = make_classification(240, 12, n_informative=6, n_classes=3, weights=[0.6, 0.3], random_state=0)
CV = KFold(3)


def check_scores(model, space, resource, *, min_resources=1, max_resources=9, data=(X, Y)):
    """Whether every evaluation of a search has the score of a model that `fit` has made at once; the search."""
    search = HyperbandSearchCV(
        model,
        space,
        resource=resource,
        min_resources=min_resources,
        max_resources=max_resources,
        cv=CV,
        n_candidates=4,
        schedule="hyperband",
        brackets=1,
        sampler="random",
        prune_folds=False,
        random_state=0,
    ).fit(*data)
    assert {row["n_resources"] for row in search.history_} > {max_resources}
    for row in search.history_:
        params = {name: row[f"param_{name}"] for name in space} | {resource: row["n_resources"]}
        once = cross_val_score(clone(model).set_params(**params), *data, cv=CV).mean()
        assert row["score"] == pytest.approx(once, abs=1e-12)
    return search


# --- passes ---------------------------------------------------------------------------------------------


class OfLogarithms(SGDRegressor):
    """Learns the logarithm of its target."""

    def fit(self, X, y, **params):
        return super().fit(X, np.log1p(y), **params)

    def predict(self, X):
        return np.expm1(super().predict(X))


class ByMixin:
    def fit(self, X, y, **params):
        return super().fit(X, np.log1p(y), **params)


class MixedIn(ByMixin, SGDRegressor):
    pass


class PassesToo(OfLogarithms):
    def partial_fit(self, X, y, **params):
        return super().partial_fit(X, np.log1p(y), **params)


class OnlyPasses(BaseEstimator):
    """A base class that leaves `fit` to others."""

    def partial_fit(self, X, y=None):
        self.n_ = getattr(self, "n_", 0) + 1
        return self


class FitsByPasses(OnlyPasses):
    def fit(self, X, y=None):
        return self.partial_fit(X, y)


@pytest.mark.parametrize("model", [OfLogarithms(), MixedIn(), MultiOutputRegressor(OfLogarithms())], ids=repr)
def test_no_passes_are_made_that_would_leave_out_what_the_users_fit_does(model):
    assert resolve(model, n_classes=None).growth.resource != "partial_fit"
    with pytest.raises(ValueError, match=r"leave out what (OfLogarithms|MixedIn).fit does .* a partial_fit of its own"):
        resolve(model, "partial_fit", n_classes=None)


@pytest.mark.parametrize("model", [PassesToo(), FitsByPasses(), SGDRegressor(), type("Own", (SGDRegressor,), {})()])
def test_passes_are_made_where_they_know_what_fit_does(model):
    assert resolve(model, n_classes=None).growth == PartialFit(max_resources=81)


def test_passes_of_what_nobody_knew_beforehand_are_not_made():
    """A distribution draws the model."""
    fold = Fold(X, np.c_[Y, Y], {}, (0, 0))
    with pytest.raises(TypeError, match="by the partial_fit of a base class of its own fit"):
        PartialFit(9).fit(MultiOutputRegressor(OfLogarithms()), fold, n_resources=1, trained=0)


def test_a_search_learns_what_the_users_fit_learns():
    data = load_diabetes(return_X_y=True)
    search = HyperbandSearchCV(
        OfLogarithms(random_state=0), {"alpha": [1e-5, 1e-3]}, cv=CV, n_candidates=2, random_state=0
    )
    search.set_params(max_resources=1000).fit(*data)
    once = cross_val_score(OfLogarithms(random_state=0, **search.best_params_), *data, cv=CV).mean()
    assert search.best_score_ == pytest.approx(once, abs=0.05)


NMF, LDA = MiniBatchNMF(3, batch_size=20, random_state=0), LatentDirichletAllocation(3, random_state=0)
MLP = MLPClassifier(hidden_layer_sizes=(5,), random_state=0)
ADAPTIVE = clone(MLP).set_params(solver="sgd", learning_rate="adaptive", learning_rate_init=0.5)
LINEAR = [model(random_state=0) for model in (SGDClassifier, SGDRegressor, Perceptron)]
NOT_READ = [
    *((model, "max_iter", [1, 50]) for model in [*LINEAR, SGDOneClassSVM(random_state=0)]),
    *((model, "tol", [1e-6, 10.0]) for model in [*LINEAR, SGDOneClassSVM(random_state=0)]),
    *((model, "n_iter_no_change", [1, 50]) for model in LINEAR),
    (SGDClassifier(random_state=0), "validation_fraction", [0.1, 0.5]),
    *((MLP, name, [1, 50]) for name in ("max_iter", "n_iter_no_change", "max_fun")),
    (MLP, "tol", [1e-6, 10.0]),
    (MLP, "validation_fraction", [0.1, 0.5]),
    (MLPRegressor(hidden_layer_sizes=(5,), random_state=0), "tol", [1e-6, 1e9]),
    (BernoulliRBM(3, random_state=0), "n_iter", [1, 9]),
    (LDA, "max_iter", [1, 9]),
    (LDA, "learning_method", ["batch", "online"]),
    (LDA, "evaluate_every", [-1, 1]),
    (LDA, "perp_tol", [1e-3, 1e3]),
    (MiniBatchDictionaryLearning(3, random_state=0), "batch_size", [5, 50]),
    *((MiniBatchDictionaryLearning(3, random_state=0), name, [1, 9]) for name in ("max_iter", "max_no_improvement")),
    (MiniBatchDictionaryLearning(3, random_state=0), "tol", [1e-6, 10.0]),
    (MiniBatchDictionaryLearning(3, random_state=0), "shuffle", [True, False]),
    *((MiniBatchKMeans(4, random_state=0), name, [1, 9]) for name in ("max_iter", "max_no_improvement", "n_init")),
    (MiniBatchKMeans(4, random_state=0), "tol", [0.0, 10.0]),
    (IncrementalPCA(3), "batch_size", [20, 50]),
    (NMF, "max_no_improvement", [1, 9]),
    (NMF, "fresh_restarts", [True, False]),
]


@pytest.mark.parametrize(("model", "name", "values"), NOT_READ, ids=lambda value: str(value)[:40])
def test_what_passes_do_not_read_is_not_searched_beside_them(model, name, values):
    """scikit-learn's own `partial_fit` makes the same model with any value."""
    states = []
    for value in values:
        one = clone(model).set_params(**{name: value})
        for number in range(3):
            order = np.random.default_rng(number).permutation(len(X))
            known = {"classes": np.unique(Y)} if number == 0 and is_classifier(one) else {}
            one.partial_fit(abs(X[order]), Y[order], **known)
        learned = ("coef_", "intercept_", "coefs_", "intercepts_", "components_", "cluster_centers_")
        states.append([np.asarray(part) for key in learned for part in vars(one).get(key, [])])
        states[-1] += [getattr(one, asked)(abs(X)) for asked in ("predict", "transform") if hasattr(one, asked)]
    assert sum(np.size(part) for part in states[0]) > 2
    assert all(np.array_equal(one, other) for one, other in zip(*states, strict=True))
    arguments = {"n_classes": 3 if is_classifier(model) else None, "searched_names": [name]}
    with pytest.raises(ValueError, match=f"means nothing, but it is searched; take it out|{name!r} is also searched"):
        resolve(model, "partial_fit", branches=[{name: values}], **arguments)
    assert resolve(model, branches=[{name: values}], **arguments).growth.resource not in ("partial_fit", name)


class Epochs(SGDClassifier):
    """Has passes of its own, which read what scikit-learn's do not."""

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        for _ in range(3):
            super().partial_fit(X, y, classes, sample_weight)
            if np.max(np.abs(self.coef_)) < self.tol:
                break
        return self


class OwnClusters(MiniBatchKMeans):
    def fit(self, X, y=None, sample_weight=None):
        return super().fit(np.asarray(X), y, sample_weight)


@pytest.mark.parametrize(
    ("model", "branch"),
    [
        (ADAPTIVE, {"tol": [1e-4, 1.0], "n_iter_no_change": [1, 5]}),
        (MLP, {"tol": [1e-4, 1.0], "solver": ["sgd", "adam"], "learning_rate": ["constant", "adaptive"]}),
        (MiniBatchKMeans(4), {"reassignment_ratio": [0.0, 0.1]}),
        (NMF, {"tol": [1e-4, 1.0], "max_iter": [1, 300]}),  # transform reads it
        (Epochs(), {"tol": [1e-4, 1.0]}),
        (Birch(n_clusters=OwnClusters(3)), {"n_clusters__n_init": [1, 3]}),
        (
            MultiOutputRegressor(MLPRegressor(solver="sgd")),
            {"estimator__learning_rate": ["constant", "adaptive"], "estimator__tol": [1e-4, 1.0]},
        ),
    ],
)
def test_what_passes_read_may_be_searched(model, branch):
    arguments = {"branches": [branch], "searched_names": list(branch), "n_classes": 3 if is_classifier(model) else None}
    assert resolve(model, **arguments).growth.resource == "partial_fit"


def test_adaptive_learning_rates_of_networks_read_when_to_adapt():
    coefs = []
    for changes in ({}, {"tol": 10.0}, {"tol": 10.0, "n_iter_no_change": 1}):
        one = clone(ADAPTIVE).set_params(**changes)
        for _ in range(6):
            one.partial_fit(X, Y, classes=np.unique(Y))
        coefs.append(one.coefs_[0])
    assert not np.array_equal(coefs[0], coefs[2])
    assert not np.array_equal(coefs[1], coefs[2])


# --- Pipelines ------------------------------------------------------------------------------------------


class Weighted(Pipeline):
    """Sets weights by the labels that it sees."""

    def fit(self, X, y=None, **params):
        self.steps[-1][1].set_params(class_weight={0: 1.0, 1: 9.0, 2: float(np.sum(y == 2))})
        return super().fit(X, y, **params)


class Threshold(Pipeline):
    """Looks at what the last step has learned."""

    def fit(self, X, y=None, **params):
        super().fit(X, y, **params)
        self.limit_ = np.median(self.predict_proba(X)[:, 0])
        return self

    def predict(self, X):
        return np.where(self.predict_proba(X)[:, 0] > self.limit_, 0, 1)


class Tagged(Pipeline):
    """Has another constructor, and the `fit` of scikit-learn."""

    def __init__(self, steps, *, tag="x"):
        super().__init__(steps)
        self.tag = tag


def steps(model):
    return [("scale", StandardScaler()), ("clf", model)]


@pytest.mark.parametrize("kind", [Weighted, Threshold, Tagged])
@pytest.mark.parametrize("nested", [False, True])
def test_pipelines_of_the_users_own_score_as_their_fit_has_them(kind, nested):
    pipeline = kind(steps(RandomForestClassifier(random_state=0)))
    model = Pipeline([("all", pipeline)]) if nested else pipeline
    prefix = "all__" if nested else ""
    check_scores(model, {f"{prefix}clf__max_depth": [1, 2, 3, 5]}, f"{prefix}clf__n_estimators")
    growth = resolve(model, f"{prefix}clf__n_estimators").growth
    assert isinstance(growth, WarmStart if kind is Tagged else Refit)


@pytest.mark.parametrize("kind", [Weighted, Threshold])
def test_pipelines_with_a_fit_of_their_own_make_no_passes(kind):
    model = kind(steps(SGDClassifier()))
    assert resolve(model).growth == Refit(resource="clf__max_iter")
    with pytest.raises(ValueError, match=r"leave out what the Pipeline's own class does .* resource='clf__max_iter'"):
        resolve(model, "partial_fit")
    assert resolve(Pipeline([("all", model)])).growth == Refit(resource="all__clf__max_iter")


def test_pipelines_with_another_constructor_make_the_same_passes():
    arguments = {"param_distributions": {"clf__alpha": [1e-4, 1e-1]}, "max_resources": 9, "n_candidates": 2, "cv": CV}
    scores = []
    for kind in (Pipeline, Tagged):
        search = HyperbandSearchCV(kind(steps(SGDClassifier(random_state=0))), random_state=0, **arguments).fit(X, Y)
        assert search.resource_ == "partial_fit"
        scores.append([row["score"] for row in search.history_])
    assert scores[0] == scores[1]


class Counted(RandomOverSampler):
    n_calls = 0

    def fit_resample(self, X, y, **params):
        Counted.n_calls += 1
        return super().fit_resample(X, y, **params)


def test_pipelines_of_imbalanced_learn_resample_once_for_each_model():
    model = ResamplingPipeline([("more", Counted(random_state=0)), ("clf", RandomForestClassifier(random_state=0))])
    assert isinstance(resolve(model, "clf__n_estimators").growth, WarmStart)
    Counted.n_calls = 0
    arguments = {"resource": "clf__n_estimators", "min_resources": 1, "max_resources": 9, "n_candidates": 4}
    search = HyperbandSearchCV(
        model, {"clf__max_depth": [1, 2, 3, 5]}, cv=CV, prune_folds=False, refit=False, random_state=0, **arguments
    ).fit(X, Y)
    assert len(search.history_) > 4
    assert Counted.n_calls == 4 * 3
    check_scores(model, {"clf__max_depth": [1, 2, 3, 5]}, "clf__n_estimators")


# --- boosters -------------------------------------------------------------------------------------------


def held_out(X, y):
    return train_test_split(X, y, stratify=y, random_state=0)


class StopsLightGBM(LGBMClassifier):
    def fit(self, X, y, **params):
        X, X_held_out, y, y_held_out = held_out(X, y)
        stop = [early_stopping(3, verbose=False)]
        return super().fit(X, y, eval_X=X_held_out, eval_y=y_held_out, callbacks=stop, **params)


class StopsXGBoost(XGBClassifier):
    def fit(self, X, y, **params):
        X, X_held_out, y, y_held_out = held_out(X, y)
        return super().fit(X, y, eval_set=[(X_held_out, y_held_out)], verbose=False, **params)


class StopsCatBoost(CatBoostClassifier):
    def fit(self, X, y=None, **params):
        X, X_held_out, y, y_held_out = held_out(X, y)
        return super().fit(X, y, eval_set=(X_held_out, y_held_out), early_stopping_rounds=3, **params)


class Monitored(GradientBoostingClassifier):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y, sample_weight, monitor=lambda number, *_: number >= 4)


class Wrapped(LGBMClassifier):
    @functools.wraps(LGBMClassifier.fit)
    def fit(self, X, y, **params):
        X, X_held_out, y, y_held_out = held_out(X, y)
        stop = [early_stopping(3, verbose=False)]
        return super().fit(X, y, eval_X=X_held_out, eval_y=y_held_out, callbacks=stop, **params)


class TwoStages(RandomForestClassifier):
    """The second forest learns what was hard for the first."""

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        return super().fit(X, y, 1.01 - self.predict_proba(X)[np.arange(len(y)), y])


class Chooses(HistGradientBoostingClassifier):
    """Fits again to the half of the rows that are easy."""

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        easy = self.predict_proba(X)[np.arange(len(y)), y] > 0.1
        return super().fit(X[easy], y[easy], sample_weight)


@pytest.mark.parametrize(
    ("model", "resource"),
    [
        (TwoStages(random_state=0), "n_estimators"),
        (Chooses(max_leaf_nodes=5, random_state=0), "max_iter"),
        (Wrapped(verbose=-1, n_jobs=1, random_state=0), "n_estimators"),
        (StopsLightGBM(verbose=-1, n_jobs=1, random_state=0), "n_estimators"),
        (StopsXGBoost(early_stopping_rounds=3, n_jobs=1, random_state=0), "n_estimators"),
        (StopsCatBoost(depth=3, verbose=0, thread_count=1, allow_writing_files=False, random_seed=0), "iterations"),
        (Monitored(random_state=0), "n_estimators"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_boosters_that_stop_in_a_fit_of_their_own_are_fitted_anew(model, resource):
    space = {"max_depth": [1, 2, 3, 5]} if isinstance(model, TwoStages) else {"learning_rate": [0.1, 0.3, 0.5, 1.0]}
    check_scores(model, space, resource, min_resources=3, max_resources=27)
    assert resolve(model, resource).growth == Refit(resource=resource)


class Rounds(HistGradientBoostingClassifier):
    """Trains another model, which has no trace of early stopping."""

    def fit(self, X, y, sample_weight=None):
        self.inner_ = HistGradientBoostingClassifier(max_iter=self.max_iter, max_leaf_nodes=self.max_leaf_nodes)
        self.classes_ = self.inner_.fit(X, y, sample_weight).classes_
        return self

    def predict(self, X):
        return self.inner_.predict(X)


def test_a_model_that_fits_its_own_way_is_fitted_anew_beside_one_that_goes_on():
    stops = {"early_stopping": True, "n_iter_no_change": 1, "tol": 0.01, "random_state": 0}
    model = Pipeline([("clf", HistGradientBoostingClassifier())])
    space = {"clf": [Rounds(**stops), HistGradientBoostingClassifier(**stops)], "clf__max_leaf_nodes": [3, 9]}
    check_scores(model, space, "clf__max_iter", min_resources=3)
    branches = [{"clf": space["clf"]}]
    assert isinstance(resolve(model, "clf__max_iter", branches=branches, max_resources=9).growth, WarmStart)


class ClosedCatBoost(CatBoostClassifier):
    def fit(self, X, y):
        return super().fit(X, y)


class ClosedXGBoost(XGBClassifier):
    def fit(self, X, y):
        X, X_held_out, y, y_held_out = held_out(X, y)
        return super().fit(X, y, eval_set=[(X_held_out, y_held_out)], verbose=False)


SMALL_CATBOOST = {"verbose": 0, "thread_count": 1, "allow_writing_files": False, "random_seed": 0}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "model",
    [
        StopsCatBoost(n_estimators=9, **SMALL_CATBOOST),
        ClosedCatBoost(n_estimators=9, **SMALL_CATBOOST),
        StopsXGBoost(n_estimators=9, callbacks=[xgboost.callback.EarlyStopping(rounds=2)], n_jobs=1, random_state=0),
        ClosedXGBoost(n_estimators=9, callbacks=[xgboost.callback.EarlyStopping(rounds=2)], n_jobs=1, random_state=0),
        AdaBoostClassifier(random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_what_cannot_go_on_is_fitted_anew_beside_a_forest_that_does(model):
    forest = RandomForestClassifier(random_state=0)
    space = {"clf": [clone(model), forest]}
    search = check_scores(Pipeline([("scale", StandardScaler()), ("clf", forest)]), space, "clf__n_estimators")
    assert type(model) in {type(row["param_clf"]) for row in search.history_ if row["n_resources"] == 9}


class WithoutWarmStart(LogisticRegression):
    def __init__(self, C=1.0, max_iter=100):
        super().__init__(C=C, max_iter=max_iter)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_solver_that_cannot_go_on_makes_all_its_iterations_beside_one_that_can():
    growth = resolve(
        Pipeline([("clf", LogisticRegression())]),
        "clf__max_iter",
        branches=[{"clf": [LogisticRegression(), WithoutWarmStart()]}],
        max_resources=9,
    ).growth
    assert isinstance(growth, WarmStart)
    grown = Pipeline([("clf", WithoutWarmStart())])
    for trained, n_resources in [(0, 2), (2, 4)]:
        grown = growth.fit(grown, Fold(X, Y, {}, (0, 0)), n_resources=n_resources, trained=trained)
    once = WithoutWarmStart(max_iter=4).fit(X, Y)
    assert grown["clf"].coef_ == pytest.approx(once.coef_, abs=1e-12)


# --- classes of the user's own that set what is none of their parameters ---------------------------------------


class Stops(SGDClassifier):
    def __init__(self, alpha=1e-4, random_state=None):
        super().__init__(alpha=alpha, early_stopping=True, random_state=random_state)


class Balanced(SGDClassifier):
    def __init__(self, alpha=1e-4, random_state=None):
        super().__init__(alpha=alpha, class_weight="balanced", random_state=random_state)


class Bags(BaggingClassifier):
    def __init__(self, n_estimators=10, max_samples=1.0, warm_start=False, random_state=None):
        super().__init__(
            n_estimators=n_estimators, max_samples=max_samples, warm_start=warm_start, random_state=random_state
        )


class Boosts(GradientBoostingClassifier):
    def __init__(self, n_estimators=100, learning_rate=0.1, warm_start=False, random_state=None):
        super().__init__(
            n_estimators=n_estimators,
            learning_rate=learning_rate,
            warm_start=warm_start,
            random_state=random_state,
            n_iter_no_change=2,
        )


@pytest.mark.parametrize("model", [Stops(), OneVsRestClassifier(Stops()), OneVsRestClassifier(Balanced())], ids=repr)
def test_passes_are_not_made_where_what_they_refuse_is_no_parameter(model):
    assert resolve(model).growth.resource == "n_samples"
    with pytest.raises(ValueError, match=r"needs (estimator__)?early_stopping=|cannot have estimator__class"):
        resolve(model, "partial_fit")


class TellsOfItsModel(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """What its properties say is about the model within, and cannot be set."""

    early_stopping = property(lambda _: True)
    class_weight = property(lambda _: "balanced")

    def __init__(self, alpha=1e-4):
        self.alpha = alpha

    def fit(self, X, y):
        return self.partial_fit(X, y)

    def partial_fit(self, X, y, classes=None):
        if not hasattr(self, "model_"):
            self.model_, self.classes_ = SGDClassifier(alpha=self.alpha, random_state=0), np.unique(y)
        self.model_.partial_fit(X, y, classes=self.classes_)
        return self

    def predict(self, X):
        return self.model_.predict(X)


def test_what_a_property_tells_is_not_taken_for_a_parameter():
    assert resolve(TellsOfItsModel(), "partial_fit").growth == PartialFit(81)
    fold = Fold(X, Y, {}, (0, 0), np.unique(Y))
    grown = PartialFit(9).fit(TellsOfItsModel(), fold, n_resources=3, trained=0)
    once = PartialFit(9).fit(SGDClassifier(random_state=0), fold, n_resources=3, trained=0)
    assert np.array_equal(grown.model_.coef_, once.coef_)


def test_balanced_weights_that_are_no_parameter_are_weights_in_passes():
    fold = Fold(X, Y, {}, (0, 0), np.unique(Y))
    models = [Balanced(random_state=0), SGDClassifier(class_weight="balanced", random_state=0)]
    one, other = [PartialFit(9).fit(model, fold, n_resources=3, trained=0) for model in models]
    assert np.array_equal(one.coef_, other.coef_)
    assert one.class_weight == "balanced"


@pytest.mark.parametrize(
    ("model", "space"),
    [
        (Bags(random_state=0), {"max_samples": [0.1, 0.3, 0.5, 1.0]}),
        (Boosts(random_state=0), {"learning_rate": [0.1, 0.3, 0.5, 1.0]}),
        (EasyEnsembleClassifier(random_state=0), {"replacement": [True, False]}),
    ],
    ids=repr,
)
def test_warm_starts_ask_the_model_for_what_is_no_parameter(model, space):
    if isinstance(model, EasyEnsembleClassifier):
        search = HyperbandSearchCV(model, space, min_resources=3, max_resources=9, cv=CV, random_state=0).fit(X, Y)
        once = cross_val_score(clone(model).set_params(n_estimators=9, **search.best_params_), X, Y, cv=CV).mean()
        assert search.best_score_ == pytest.approx(once, abs=1e-12)
    else:
        check_scores(model, space, "n_estimators")


class Within(RegressorMixin, MetaEstimatorMixin, BaseEstimator):
    """Makes passes of what it has under a name of its own."""

    def __init__(self, base=None):
        self.base = base

    def fit(self, X, y):
        self.base_ = clone(self.base).fit(X, y)
        return self

    def partial_fit(self, X, y):
        if not hasattr(self, "base_"):
            self.base_ = clone(self.base)
        self.base_.partial_fit(X, y)
        return self

    def predict(self, X):
        return self.base_.predict(X)


def test_passes_of_a_model_under_any_name_do_not_leave_out_its_fit():
    assert resolve(Within(OfLogarithms()), n_classes=None).growth.resource == "n_samples"
    with pytest.raises(ValueError, match=r"leave out what OfLogarithms.fit does"):
        resolve(Within(OfLogarithms()), "partial_fit", n_classes=None)
    for model in (Within(SGDRegressor()), Within(PassesToo())):
        assert resolve(model, n_classes=None).growth == PartialFit(81)
    searched = {"branches": [{"base__max_iter": [10, 20]}], "n_classes": None}  # its passes may read that
    assert resolve(Within(SGDRegressor()), "partial_fit", **searched).growth == PartialFit(81)


def test_what_passes_do_not_read_may_be_searched_in_a_branch_where_they_do():
    reads = {"solver": ["sgd"], "learning_rate": ["adaptive"], "tol": ()}
    branches = [{"solver": ["adam"], "alpha": ()}, reads]
    assert resolve(MLP, branches=branches).growth == PartialFit(81)
    steps = [{"clf": [SGDClassifier()]}, {"clf": [ADAPTIVE], "clf__tol": ()}]
    assert resolve(Pipeline([("clf", MLP)]), "partial_fit", branches=steps).growth == PartialFit(81)
    with pytest.raises(ValueError, match="for which tol means nothing"):
        resolve(MLP, "partial_fit", branches=[{**branches[0], "tol": ()}, reads])


@pytest.mark.parametrize("fit", [functools.partialmethod(LGBMClassifier.fit), available_if(bool)(LGBMClassifier.fit)])
def test_a_fit_that_is_no_function_is_not_looked_into(fit):
    own = type("Own", (LGBMClassifier,), {"fit": fit, "__module__": __name__})
    assert resolve(own(), "n_estimators").growth == Refit(resource="n_estimators")


class AnyEnsemble(ClassifierMixin, BaseEstimator, ABC):
    @abstractmethod
    def fit(self, X, y):
        """Left to others."""


class Ensemble(AnyEnsemble):
    def __init__(self, n_estimators=9, warm_start=False):
        self.n_estimators = n_estimators
        self.warm_start = warm_start

    def fit(self, X, y):
        return self


def test_a_fit_that_was_left_to_the_subclass_is_no_other_one():
    assert isinstance(resolve(Ensemble(), "n_estimators").growth, WarmStart)


def test_boosters_of_the_users_own_that_leave_fit_alone_go_on():
    own = type("Own", (LGBMClassifier,), {})
    assert isinstance(resolve(own(), "n_estimators").growth, Boosting)


# --- what a search leaves alone ----------------------------------------------------------------------------


class Holes(TransformerMixin, BaseEstimator):
    """Small numbers are missing."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.where(abs(X) < 0.5, 0.0, X)


class Noise(TransformerMixin, BaseEstimator):
    """Draws anew whenever it transforms."""

    def fit(self, X, y=None):
        self.rng_ = np.random.default_rng(0)
        return self

    def transform(self, X):
        return X + 0.5 * self.rng_.normal(size=X.shape)


class AddsNoise:
    """A function with a memory."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __call__(self, X):
        return X + 0.5 * self.rng.normal(size=X.shape)


@pytest.mark.parametrize(
    "noise",
    [
        Noise(),
        FunctionTransformer(AddsNoise()),
        IterativeImputer(sample_posterior=True, max_iter=2, tol=10.0, missing_values=0.0, random_state=0),
    ],
    ids=lambda noise: type(noise).__name__,
)
def test_steps_that_draw_as_they_transform_draw_what_they_would_have(noise):
    model = Pipeline(
        [("holes", Holes()), ("noise", noise), ("clf", RandomForestClassifier(random_state=0))]
        if isinstance(noise, IterativeImputer)
        else [("noise", noise), ("clf", RandomForestClassifier(random_state=0))]
    )
    check_scores(model, {"clf__max_depth": [1, 2, 3, 5]}, "clf__n_estimators")


def test_a_class_of_a_script_is_left_alone_beside_a_function_without_a_name():
    """With a lambda in the model all was sent by value, and what came back was put into the script's class."""
    code = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sksearch import HyperbandSearchCV

SCALE = 1.0

class Scaler(TransformerMixin, BaseEstimator):
    n_fits = 0

    def fit(self, X, y=None):
        Scaler.n_fits += 1
        return self

    def transform(self, X):
        return np.asarray(X) * SCALE

before = Scaler.transform
X, y = [[0.0], [1.0], [0.1], [0.9]] * 5, [0, 1, 0, 1] * 5
pipe = make_pipeline(FunctionTransformer(lambda X: X), Scaler(), SGDClassifier(random_state=0))
search = HyperbandSearchCV(pipe, {"sgdclassifier__alpha": [0.1, 0.01, 0.001]}, max_resources=9, cv=2, random_state=0)
search.fit(X, y)
SCALE = 100.0
trials = {row["trial"] for row in search.history_ if row["n_splits_done"] == 2}
print(Scaler.transform is before, Scaler.n_fits > 2 * len(trials), search.best_estimator_[1].transform([1.0])[0])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "True", "100.0"]


class TakesColumns(SGDRegressor):
    """A fit parameter with an entry for each column."""

    def fit(self, X, y, columns=None):
        return super().fit(X * np.asarray(columns), y)

    def partial_fit(self, X, y, columns=None):
        return super().partial_fit(X * np.asarray(columns), y)


def test_what_has_no_entry_per_row_stays_so_beside_rows_that_are_kept():
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(90, 60))
    model = Pipeline([("pca", PCA(60, svd_solver="full")), ("last", TakesColumns(random_state=0))])
    weights = rng.random(60) * 0.1  # as long as a fold has rows
    scores = []
    for least in (1, 9):
        search = HyperbandSearchCV(
            model, {"last__alpha": [1e-4]}, min_resources=least, max_resources=9, n_candidates=1, cv=CV, random_state=0
        )
        search.set_params(prune_folds=False, refit=False).fit(rows, rows[:, 0], last__columns=weights)
        scores.append(search.cv_results_["mean_test_score"][0])
    assert scores[0] == scores[1]


def test_the_time_of_a_model_that_went_on_is_that_of_all_its_fits():
    forest = RandomForestClassifier(random_state=0)
    arguments = {"resource": "n_estimators", "max_resources": 9, "min_resources": 1, "cv": CV, "random_state": 0}
    search = HyperbandSearchCV(forest, {"max_depth": [1, 2, 3, 5]}, prune_folds=False, **arguments).fit(X, Y)
    for trial, mean in enumerate(search.cv_results_["mean_fit_time"]):
        rows = [row["fit_time"] for row in search.history_ if row["trial"] == trial]
        assert mean * 3 == pytest.approx(sum(rows), rel=1e-9)
    assert max(sum(row["trial"] == trial for row in search.history_) for trial in range(4)) == 3
