"""Every estimator of scikit-learn that can grow: grown 1 -> 3 -> 9 against fitted at once at 9."""

from __future__ import annotations

import inspect
import pickle
import warnings

import numpy as np
import pytest
from imblearn.ensemble import BalancedRandomForestClassifier
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.preprocessing import minmax_scale
from sklearn.utils import all_estimators

from resolution import resolve
from sksearch.resources import Fold, PartialFit, WarmStart

# So few iterations do not converge, and some classes are deprecated: neither is of interest here.
pytestmark = pytest.mark.filterwarnings("ignore")

SEED = (7, 2)
IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
CLASSES = dict(all_estimators())


def accepts(cls, name):
    return name in inspect.signature(cls).parameters


def example(name):
    """An estimator, with an int `random_state`, and data for it."""
    cls = CLASSES[name]
    params = {"random_state": 0} if accepts(cls, "random_state") else {}
    if accepts(cls, "estimator") and accepts(cls, "random_state") is False:
        params["estimator"] = (SGDRegressor if name.endswith("Regressor") else SGDClassifier)(random_state=0)
    X, y = DIABETES if name.endswith("Regressor") or name in REGRESSORS else IRIS
    if name.startswith(("Multi", "MiniBatchNMF", "BernoulliRBM", "CategoricalNB")):
        X = minmax_scale(X)
    if name == "CategoricalNB":
        X = (X * 4).astype(int)
    if name.startswith(("MultiOutput", "MultiTask")):
        y = np.column_stack([y, y[::-1]])
    return cls(**params), X, y


REGRESSORS = {"ElasticNet", "Lasso", "MultiTaskElasticNet", "MultiTaskLasso"}


def grow(growth, estimator, X, y, levels, classes=None):
    """Train to each level in turn, through a pickle as a paused model is, or anew if nothing is paused."""
    model, trained = clone(estimator), 0
    for level in levels:
        model = pickle.loads(pickle.dumps(model)) if growth.resumes else clone(estimator)
        trained = trained if growth.resumes else 0
        model = growth.fit(model, Fold(X, y, {}, SEED, classes), n_resources=level, trained=trained)
        trained = level
    return model


def outputs(model, X):
    """All that the model says of X."""
    found = {}
    for method in ("predict_proba", "decision_function", "score_samples", "transform", "predict"):
        if hasattr(model, method):
            values = getattr(model, method)(X)
            found[method] = values.toarray() if sparse.issparse(values) else np.asarray(values)
    assert found
    return found


# --- passes -----------------------------------------------------------------------------------------------

PASSES = sorted(name for name, cls in CLASSES.items() if hasattr(cls, "partial_fit"))
NO_PASSES = {
    "FrozenEstimator": "learns nothing",
    "HashingVectorizer": "learns nothing",
    "SelectFromModel": "passes no labels on to the partial_fit inside, which asks for them",
}


@pytest.mark.parametrize("name", [name for name in PASSES if name not in NO_PASSES])
def test_passes_made_in_rungs_equal_passes_made_at_once(name):
    estimator, X, y = example(name)
    growth, classes = growth_of(estimator, "partial_fit", 9), labels_of(name)
    assert isinstance(growth, PartialFit)
    grown = outputs(grow(growth, estimator, X, y, [1, 3, 9], classes), X)
    once = growth.fit(clone(estimator), Fold(X, y, {}, SEED, classes), n_resources=9, trained=0)
    for method, expected in outputs(once, X).items():
        assert np.array_equal(grown[method], expected)


COUNTS = ["BernoulliNB", "CategoricalNB", "ComplementNB", "GaussianNB", "MultinomialNB"]
COUNTS += ["IncrementalPCA", "MaxAbsScaler", "MinMaxScaler", "StandardScaler"]


@pytest.mark.parametrize("name", [name for name in PASSES if name not in NO_PASSES])
def test_passes_are_taken_by_themselves_where_they_teach_more(name):
    """What only counts, counts the same rows again."""
    estimator, X, y = example(name)
    growth, classes = growth_of(estimator, "partial_fit", 9), labels_of(name)
    once, again = (
        growth.fit(clone(estimator), Fold(X, y, {}, SEED, classes), n_resources=n, trained=0) for n in (1, 9)
    )
    first, second = outputs(once, X), outputs(again, X)
    methods = [method for method in first if method != "predict"] or ["predict"]
    same = all(np.allclose(first[method], second[method], rtol=0, atol=1e-12) for method in methods)
    counts = getattr(again, "class_count_", None)
    assert (name in COUNTS) == (same or (counts is not None and np.array_equal(counts, 9 * once.class_count_)))
    chosen = resolve(estimator, n_rows=100, n_classes=3 if is_classifier(estimator) else None)
    assert (chosen.growth.resource == "n_samples") == (name in [*COUNTS, "OneVsOneClassifier"])


def test_a_birch_is_trained_anew_as_its_pickle_goes_on_wrongly():
    """If this fails, scikit-learn's pickle of it works and Birch may go on."""
    birch, X, y = example("Birch")
    assert not growth_of(birch, "partial_fit", 9).resumes
    growth = PartialFit(max_resources=9)
    once = growth.fit(clone(birch), Fold(X, y, {}, SEED), n_resources=9, trained=0)
    assert not np.array_equal(grow(growth, birch, X, y, [1, 3, 9]).transform(X), once.transform(X))


# --- sizes ------------------------------------------------------------------------------------------------

SIZES = {
    name: next(size for size in ("n_estimators", "max_iter") if accepts(cls, size))
    for name, cls in sorted(CLASSES.items())
    if accepts(cls, "warm_start") and (accepts(cls, "n_estimators") or accepts(cls, "max_iter"))
}
ROUNDED = {"Lasso", "MultiTaskLasso", "BayesianGaussianMixture", "GaussianMixture"}
SOLVERS = {
    "ElasticNet": "coordinate descent: screening and gaps are computed anew",
    "GammaRegressor": "L-BFGS: its curvature is forgotten",
    "HuberRegressor": "L-BFGS",
    "LogisticRegression": "L-BFGS",
    "MultiTaskElasticNet": "coordinate descent",
    "PoissonRegressor": "L-BFGS",
    "TweedieRegressor": "L-BFGS",
}
SCHEDULES = {
    "MLPClassifier": "momentum and order of the rows begin anew",
    "MLPRegressor": "momentum and order of the rows begin anew",
    "NeighborhoodComponentsAnalysis": "L-BFGS on a function with many minima",
    "PassiveAggressiveClassifier": "the order of the rows begins anew",
    "PassiveAggressiveRegressor": "the order of the rows begins anew",
    "Perceptron": "the order of the rows begins anew",
    "SGDClassifier": "step sizes and order of the rows begin anew",
    "SGDOneClassSVM": "step sizes and order of the rows begin anew",
    "SGDRegressor": "step sizes and order of the rows begin anew",
}


@pytest.mark.parametrize("name", [name for name in SIZES if name not in SOLVERS | SCHEDULES])
def test_a_size_grown_by_warm_starts_equals_one_fitted_at_once(name):
    estimator, X, y = example(name)
    growth = growth_of(estimator, SIZES[name], 9)
    assert isinstance(growth, WarmStart)
    grown = grow(growth, estimator, X, y, [1, 3, 9])
    once = clone(estimator).set_params(**{SIZES[name]: 9}).fit(X, y)
    for method, expected in outputs(once, X).items():
        if name in ROUNDED:
            np.testing.assert_allclose(outputs(grown, X)[method], expected, rtol=1e-12)
        else:
            assert np.array_equal(outputs(grown, X)[method], expected)
    assert repr(grown.get_params()) == repr(once.get_params())


@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture"])
def test_a_mixture_chooses_among_all_its_starts(name):
    mixture, X, y = example(name)
    mixture.set_params(n_components=5, n_init=8, init_params="random_from_data")
    growth = growth_of(mixture, "max_iter", 9)
    grown = grow(growth, mixture, X, y, [1, 3, 9])
    once = clone(mixture).set_params(max_iter=9).fit(X, y)
    assert np.array_equal(grown.score_samples(X), once.score_samples(X))


CONVERGES = {
    "BayesianGaussianMixture": {"n_components": 2},
    "ElasticNet": {"alpha": 1.0},
    "GaussianMixture": {"n_components": 3},
    "HuberRegressor": {"tol": 1.0},
    "LogisticRegression": {"tol": 1e-2},
    "PoissonRegressor": {"alpha": 1e-2},
    "SGDClassifier": {"tol": 1e-1},
    "SGDRegressor": {"early_stopping": True},
}


@pytest.mark.parametrize("name", CONVERGES)
def test_what_has_converged_stays_as_it_is(name):
    """A fit with more iterations would have ended at the same place."""
    estimator, X, y = example(name)
    estimator.set_params(**CONVERGES[name])
    growth = growth_of(estimator, "max_iter", 900)
    once = clone(estimator).set_params(max_iter=900).fit(X, y)
    assert np.max(once.n_iter_) < 100
    for levels in ([100, 300, 900], [100, 900]):
        grown = grow(growth, estimator, X, y, levels)
        for method, expected in outputs(once, X).items():
            assert np.array_equal(outputs(grown, X)[method], expected)
        assert vars(grown).keys() == vars(once).keys()
        assert np.array_equal(grown.n_iter_, once.n_iter_)
        assert repr(grown.get_params()) == repr(once.get_params())


def test_what_has_not_converged_yet_goes_on():
    mixture, X, y = example("GaussianMixture")
    mixture.set_params(n_components=5, tol=1e-6)
    grown = grow(growth_of(mixture, "max_iter", 900), mixture, X, y, [2, 10, 900])
    once = clone(mixture).set_params(max_iter=900).fit(X, y)
    assert once.n_iter_ > 10
    np.testing.assert_allclose(grown.score_samples(X), once.score_samples(X), rtol=1e-9)


@pytest.mark.parametrize("name", ["RandomForestClassifier", "BaggingClassifier"])
def test_few_members_do_not_warn_of_rows_that_none_of_them_left_out(name):
    X, y = IRIS
    model = CLASSES[name](random_state=0, oob_score=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grown = grow(growth_of(model, "n_estimators", 81), model, X, y, [1, 9, 81])
    assert grown.oob_score_ == clone(model).set_params(n_estimators=81).fit(X, y).oob_score_


def test_balanced_forests_have_no_tree_twice():
    """A warm start of imbalanced-learn draws again what it drew for earlier trees."""
    X, y = IRIS
    forest = BalancedRandomForestClassifier(sampling_strategy="all", replacement=True, bootstrap=False, random_state=0)
    grown = grow(growth_of(forest, "n_estimators", 27), forest, X[:120], y[:120], [3, 9, 27])
    once = clone(forest).set_params(n_estimators=27).fit(X[:120], y[:120])
    assert np.array_equal(grown.predict_proba(X), once.predict_proba(X))


@pytest.mark.parametrize("weights", ["balanced", "balanced_subsample"])
def test_a_forest_of_balanced_classes_does_not_warn_of_other_data(weights):
    X, y = IRIS
    forest = CLASSES["RandomForestClassifier"](random_state=0, class_weight=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grown = grow(growth_of(forest, "n_estimators", 9), forest, X[:120], y[:120], [1, 3, 9])
    once = clone(forest).set_params(n_estimators=9).fit(X[:120], y[:120])
    assert np.array_equal(grown.predict_proba(X), once.predict_proba(X))


@pytest.mark.parametrize("name", [name for name in SIZES if name in SOLVERS])
def test_a_solver_that_begins_anew_comes_to_the_same_solution(name):
    estimator, X, y = example(name)
    estimator.set_params(tol=1e-6)
    growth = growth_of(estimator, "max_iter", 9000)
    grown = grow(growth, estimator, X, y, [1000, 3000, 9000])
    once = clone(estimator).set_params(max_iter=9000).fit(X, y)
    first, second = (outputs(model, X) for model in (grown, once))
    method = next(iter(first))
    np.testing.assert_allclose(first[method], second[method], rtol=0.01, atol=0.01)


@pytest.mark.parametrize("name", [name for name in SIZES if name in SCHEDULES])
def test_what_begins_anew_trains_the_difference_only(name, monkeypatch):
    """Iterations that were done are not done again, and the parameter says how many there were in all."""
    model, X, y = example(name)
    done = []
    owner = next(cls for cls in CLASSES[name].__mro__ if "fit" in vars(cls))
    fit = owner.fit

    def watched(self, X, y=None, **params):
        done.append((self.max_iter, self.warm_start))
        return fit(self, X, y, **params)

    monkeypatch.setattr(owner, "fit", watched)
    growth = growth_of(model, "max_iter", 9)
    for trained, level in [(0, 1), (1, 3), (3, 9)]:
        growth.fit(model, Fold(X, y, {}, SEED), n_resources=level, trained=trained)
        assert (model.max_iter, model.warm_start) == (level, False)
    assert done == [(1, False), (2, True), (6, True)]


def test_what_differs_is_listed_with_its_reason_and_nothing_else():
    """A new estimator of scikit-learn is compared bit for bit until somebody says why it cannot be."""
    assert set(NO_PASSES) <= set(PASSES) | {"FrozenEstimator"}
    listed = [set(SOLVERS), set(SCHEDULES), ROUNDED]
    assert sum(map(len, listed)) == len(set.union(*listed))
    assert set.union(*listed) <= set(SIZES)
    assert len(PASSES) > 20
    assert len(SIZES) > 30


def growth_of(estimator, resource, max_resources):
    return resolve(estimator, resource, max_resources=max_resources, n_classes=None).growth


def labels_of(name):
    """What a model is told of its labels before it has seen all of them."""
    estimator, _, y = example(name)
    labels = np.unique(y) if is_classifier(estimator) else None
    return [labels] * 2 if name == "MultiOutputClassifier" else labels
