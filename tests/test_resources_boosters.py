"""Rounds of LightGBM, XGBoost and CatBoost made in parts against rounds made at once."""

from __future__ import annotations

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_classification
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from resolution import resolve
from sksearch import HyperbandSearchCV
from sksearch.resources import Boosting, Fold, Refit
from sksearch.resources.boosters import LIBRARIES, library_of
from sksearch.spool import Spool

LEVELS = [1, 3, 9]
SEED = (7, 2)
BINARY = load_breast_cancer(return_X_y=True)
MULTI = load_iris(return_X_y=True)
REAL = load_diabetes(return_X_y=True)
MANY = make_classification(3000, 8, random_state=0)
TWO = (REAL[0], np.column_stack([REAL[1], -REAL[1] / 3]))
RANKED = (REAL[0], np.digitize(REAL[1], [80, 150, 250]))
COLOURS = pd.DataFrame(BINARY[0][:, :4], columns=list("abcd")).assign(
    e=pd.Categorical(np.random.default_rng(0).choice(list("uvwxyz"), 569))
)
MIXED = (COLOURS, BINARY[1])
FRAME = load_diabetes(return_X_y=True, as_frame=True)

QUIET = {
    "lightgbm": {"verbose": -1, "n_jobs": 1},
    "xgboost": {"n_jobs": 1},
    "catboost": {"verbose": 0, "allow_writing_files": False, "thread_count": 1, "learning_rate": 0.2},
}
ROUNDS = {"lightgbm": "n_estimators", "xgboost": "n_estimators", "catboost": "iterations"}
FIXED = {"bootstrap_type": "No", "random_strength": 0}  # CatBoost draws nothing at random


def make(library, name, **params):
    """An estimator of `library`, or a skipped test."""
    module = pytest.importorskip(library)
    return getattr(module, name)(**{**QUIET[library], **params})


def grow(growth, estimator, X, y, levels=LEVELS, *, fit_params=None):
    """Train to each level in turn, through the spool as a paused model goes."""
    model, trained = clone(estimator), 0
    with Spool() as spool:
        for level in levels:
            model = growth.fit(model, Fold(X, y, fit_params or {}, SEED), n_resources=level, trained=trained)
            spool.save(0, 0, model, level)
            model, trained = spool.load(0, 0)
    return model


def both(library, estimator, data, *, fit_params=None):
    """A model grown to nine rounds and one fitted with nine rounds at once by the library alone."""
    X, y = data
    name = ROUNDS[library]
    grown = grow(Boosting(resource=name, max_resources=9), estimator, X, y, fit_params=fit_params)
    return grown, clone(estimator).set_params(**{name: 9}).fit(X, y, **(fit_params or {}))


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def parameters(model):
    """In one order, and with nan equal to itself."""
    return repr(sorted(model.get_params().items()))


def n_rounds(model):
    module = type(model).__mro__[0].__module__.partition(".")[0]
    if module == "lightgbm":
        return model.booster_.current_iteration()
    return model.get_booster().num_boosted_rounds() if module == "xgboost" else model.tree_count_


def leaves(model, X):
    """The leaf of each row in each tree."""
    if hasattr(model, "booster_"):
        return model.predict(X, pred_leaf=True)
    return model.apply(X) if hasattr(model, "apply") else model.calc_leaf_indexes(X)


# --- grown equals fitted at once ------------------------------------------------------------------------------

WEIGHTS = {"sample_weight": np.linspace(0.5, 2, 569)}
EXACT = [
    ("lightgbm", "LGBMClassifier", {}, BINARY, {}),
    ("lightgbm", "LGBMClassifier", {}, MULTI, {}),
    ("lightgbm", "LGBMClassifier", {"class_weight": "balanced"}, BINARY, WEIGHTS),
    ("lightgbm", "LGBMClassifier", {"min_child_samples": 3}, MIXED, {}),
    ("lightgbm", "LGBMRegressor", {}, REAL, {}),
    ("lightgbm", "LGBMRegressor", {"objective": "poisson"}, REAL, {}),
    ("lightgbm", "LGBMRegressor", {"objective": "quantile", "alpha": 0.3}, REAL, {}),
    ("lightgbm", "LGBMRegressor", {"monotone_constraints": [1] + 9 * [0]}, REAL, {}),
    ("lightgbm", "LGBMRanker", {}, RANKED, {"group": [221, 221]}),
    ("lightgbm", "LGBMRegressor", {"min_child_samples": 400}, REAL, {}),  # no split at all
    ("xgboost", "XGBClassifier", {}, BINARY, {}),
    ("xgboost", "XGBClassifier", {"tree_method": "exact"}, BINARY, {}),
    ("xgboost", "XGBClassifier", {"tree_method": "approx"}, BINARY, {}),
    ("xgboost", "XGBClassifier", {}, MULTI, {}),
    ("xgboost", "XGBClassifier", {}, BINARY, WEIGHTS),
    ("xgboost", "XGBClassifier", {}, BINARY, {"base_margin": np.linspace(-1, 1, 569)}),
    ("xgboost", "XGBClassifier", {"enable_categorical": True, "max_cat_to_onehot": 1}, MIXED, {}),
    ("xgboost", "XGBRegressor", {}, REAL, {}),
    ("xgboost", "XGBRegressor", {"objective": "reg:absoluteerror"}, REAL, {}),
    ("xgboost", "XGBRegressor", {}, TWO, {}),
    ("xgboost", "XGBRegressor", {"booster": "gblinear", "updater": "coord_descent"}, REAL, {}),
    ("xgboost", "XGBRegressor", {"booster": "gblinear", "updater": "coord_descent"}, FRAME, {}),
    ("xgboost", "XGBClassifier", {"eval_metric": ["auc", "logloss"]}, BINARY, {}),
    ("xgboost", "XGBRegressor", {"monotone_constraints": {"bmi": 1}, "seed": 3}, FRAME, {}),
    ("xgboost", "XGBRanker", {}, RANKED, {"qid": np.repeat([0, 1], 221)}),
    ("catboost", "CatBoostClassifier", FIXED, MULTI, {}),
    ("catboost", "CatBoostRegressor", {**FIXED, "loss_function": "MAE"}, REAL, {}),
]
ROUNDED = [
    ("lightgbm", "LGBMRegressor", {"linear_tree": True}, REAL, {}),
    ("catboost", "CatBoostClassifier", FIXED, BINARY, {}),
    ("catboost", "CatBoostClassifier", {**FIXED, "auto_class_weights": "Balanced"}, BINARY, WEIGHTS),
    ("catboost", "CatBoostRegressor", FIXED, REAL, {}),
    ("catboost", "CatBoostRegressor", {**FIXED, "loss_function": "MultiRMSE"}, TWO, {}),
]


@pytest.mark.filterwarnings("ignore:.*`booster=gblinear` is deprecated")  # XGBoost 3.4
@pytest.mark.parametrize(("library", "name", "params", "data", "fit_params"), EXACT)
def test_rounds_made_in_parts_equal_rounds_made_at_once(library, name, params, data, fit_params):
    grown, once = both(library, make(library, name, **params), data, fit_params=fit_params)
    assert np.array_equal(outputs(grown, data[0]), outputs(once, data[0]))
    assert n_rounds(grown) == n_rounds(once)
    assert parameters(grown) == parameters(once)


@pytest.mark.parametrize(
    "params",
    [
        {"subsample": 0.3},
        {"subsample": 0.3, "random_state": 3},
        {"subsample": 0.3, "sampling_method": "gradient_based"},
        {"colsample_bytree": 0.5, "colsample_bylevel": 0.5},
        {"colsample_bynode": 0.5, "num_parallel_tree": 2},
        {"subsample": 0.3, "tree_method": "exact"},
        {"booster": "dart", "rate_drop": 0.5},
        {"rate_drop": 0.5, "one_drop": 1, "random_state": 3},
    ],
)
@pytest.mark.filterwarnings("ignore:.*`booster=dart` is deprecated")
def test_rounds_of_xgboost_draw_by_their_number_since_version_3_3(params):
    pytest.importorskip("xgboost", minversion="3.3")
    estimator = make("xgboost", "XGBRegressor", **params)
    grown, once = both("xgboost", estimator, REAL)
    other = clone(once).set_params(random_state=99).fit(*REAL)
    assert np.array_equal(outputs(grown, REAL[0]), outputs(once, REAL[0]))
    assert not np.array_equal(outputs(grown, REAL[0]), outputs(other, REAL[0]))
    assert parameters(grown) == parameters(once)


@pytest.mark.parametrize(("library", "name", "params", "data", "fit_params"), ROUNDED)
def test_sums_of_another_order_differ_by_rounding(library, name, params, data, fit_params):
    grown, once = both(library, make(library, name, **params), data, fit_params=fit_params)
    np.testing.assert_allclose(outputs(grown, data[0]), outputs(once, data[0]), rtol=1e-6, atol=1e-12)
    assert n_rounds(grown) == 9
    assert parameters(grown) == parameters(once)


# --- random draws ---------------------------------------------------------------------------------------------

DRAWN = [
    ("lightgbm", "LGBMClassifier", {"subsample": 0.3, "subsample_freq": 1}, MANY),
    ("lightgbm", "LGBMClassifier", {"subsample": 0.3, "subsample_freq": 1, "random_state": 3}, MANY),
    ("lightgbm", "LGBMClassifier", {"subsample": 0.3, "subsample_freq": 1, "seed": 3}, MANY),
    ("lightgbm", "LGBMClassifier", {"colsample_bytree": 0.5}, MANY),
    ("lightgbm", "LGBMClassifier", {"extra_trees": True}, MANY),
    ("xgboost", "XGBClassifier", {"subsample": 0.3}, MANY),
    ("xgboost", "XGBClassifier", {"subsample": 0.3, "random_state": 3, "seed_per_iteration": True}, MANY),
    ("xgboost", "XGBClassifier", {"colsample_bytree": 0.5}, MANY),
    ("xgboost", "XGBClassifier", {"colsample_bynode": 0.5, "num_parallel_tree": 2}, MANY),
    ("xgboost", "XGBClassifier", {"subsample": 0.3, "tree_method": "approx"}, MANY),
    ("catboost", "CatBoostClassifier", {}, MANY),
    ("catboost", "CatBoostClassifier", {"random_state": 3, "n_estimators": 9}, MANY),
    ("catboost", "CatBoostClassifier", {"bootstrap_type": "Bernoulli", "subsample": 0.3, "random_seed": 3}, MANY),
    ("catboost", "CatBoostClassifier", {"grow_policy": "Lossguide"}, MANY),
]


@pytest.mark.parametrize(("library", "name", "params", "data"), DRAWN)
def test_a_model_that_draws_at_random_is_as_good_and_the_same_twice(library, name, params, data):
    estimator = make(library, name, **params)
    X, y = data
    resource = resolve(estimator).growth.resource
    growth = Boosting(resource=resource, max_resources=27)
    grown = grow(growth, estimator, X[:2000], y[:2000], [1, 3, 9, 27])
    again = clone(estimator)
    for trained, level in [(0, 1), (1, 3), (3, 9), (9, 27)]:
        growth.fit(again, Fold(X[:2000], y[:2000], {}, SEED), n_resources=level, trained=trained)
        clone(estimator).set_params(**{resource: 2}).fit(X[:500], y[:500])  # as other trials do meanwhile
    once = clone(estimator).set_params(**{resource: 27}).fit(X[:2000], y[:2000])
    assert np.array_equal(outputs(grown, X), outputs(again, X))
    assert n_rounds(grown) == n_rounds(once) == 27
    assert grown.score(X[2000:], y[2000:]) > once.score(X[2000:], y[2000:]) - 0.03
    assert parameters(grown) == parameters(once)


@pytest.mark.parametrize(("library", "name", "params", "data"), [case for case in DRAWN if case[0] != "catboost"])
def test_no_part_draws_again_what_an_earlier_one_drew(library, name, params, data):
    """With hardly any learning all rounds have the same gradients: only other draws can make other trees."""
    X, y = data
    estimator = make(library, name, **params, learning_rate=1e-9)
    grown = grow(Boosting(resource=ROUNDS[library], max_resources=9), estimator, X, y, [1, 2, 3])
    once = clone(estimator).set_params(**{ROUNDS[library]: 3}).fit(X, y)
    different = [{tree.tobytes() for tree in leaves(model, X).reshape(len(X), -1).T} for model in (grown, once)]
    assert len(different[0]) >= len(different[1]) > 1


@pytest.mark.parametrize(
    "draws",
    [
        {"subsample": 0.3, "subsample_freq": 1, "bagging_seed": 3},
        {"colsample_bytree": 0.3, "feature_fraction_seed": 3},
        {"extra_trees": True, "extra_seed": 3},
    ],
)
def test_seeds_of_single_draws_move_on_and_stay_what_they_were(draws):
    X, y = MANY
    estimator = make("lightgbm", "LGBMClassifier", random_state=0, learning_rate=1e-9, **draws)
    before = estimator.get_params()
    grown = grow(Boosting(resource="n_estimators", max_resources=9), estimator, X, y, [1, 2, 3])
    trees = leaves(grown, X).T
    assert len({tree.tobytes() for tree in trees}) == 3
    assert {**grown.get_params(), "n_estimators": None} == {**before, "n_estimators": None}


def test_a_random_state_goes_on_by_itself():
    X, y = MANY
    state = np.random.RandomState(3)
    draws = {"subsample": 0.3, "subsample_freq": 1, "learning_rate": 1e-9}
    estimator = make("lightgbm", "LGBMClassifier", random_state=state, **draws)
    grown = grow(Boosting(resource="n_estimators", max_resources=9), estimator, X, y, [1, 2, 3])
    assert isinstance(grown.random_state, np.random.RandomState)
    trees = leaves(grown, X).T
    assert len({tree.tobytes() for tree in trees}) == 3


# --- fitted anew ----------------------------------------------------------------------------------------------

HELD_OUT = (BINARY[0][:100], 1 - BINARY[1][:100])  # wrong labels: training stops soon
ANEW = [
    ("lightgbm", "LGBMClassifier", {"boosting_type": "dart"}, {}),
    ("lightgbm", "LGBMClassifier", {"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1}, {}),
    ("lightgbm", "LGBMClassifier", {"boosting_type": "goss", "learning_rate": 0.5}, {}),
    ("lightgbm", "LGBMClassifier", {"data_sample_strategy": "goss", "learning_rate": 0.5}, {}),
    ("lightgbm", "LGBMClassifier", {}, {"init_score": np.linspace(-1, 1, 569)}),
    ("lightgbm", "LGBMClassifier", {"early_stopping_round": 2}, {"eval_X": HELD_OUT[0], "eval_y": HELD_OUT[1]}),
    ("xgboost", "XGBClassifier", {"booster": "dart", "rate_drop": 0.3}, {}),
    ("xgboost", "XGBClassifier", {"early_stopping_rounds": 2}, {"eval_set": [HELD_OUT], "verbose": 0}),
    ("catboost", "CatBoostClassifier", {"learning_rate": None}, {}),
    ("catboost", "CatBoostClassifier", {"boosting_type": "Ordered"}, {}),
    ("catboost", "CatBoostClassifier", {"model_shrink_rate": 0.1}, {}),
    ("catboost", "CatBoostClassifier", {"langevin": True}, {}),
    ("catboost", "CatBoostClassifier", {}, {"baseline": np.linspace(-1, 1, 569)}),
    ("catboost", "CatBoostClassifier", {"early_stopping_rounds": 2}, {"eval_set": HELD_OUT}),
    ("catboost", "CatBoostClassifier", {**FIXED, "boost_from_average": True}, {}),
    ("catboost", "CatBoostClassifier", {**FIXED, "eval_fraction": 0.3, "early_stopping_rounds": 1}, {}),
    ("catboost", "CatBoostClassifier", {**FIXED, "monotone_constraints": "20:-1,22:-1"}, {}),
    ("catboost", "CatBoostClassifier", {**FIXED, "first_feature_use_penalties": "20:30,22:30,27:30"}, {}),
    ("catboost", "CatBoostClassifier", {**FIXED, "per_object_feature_penalties": "20:.1,22:.1,27:.1"}, {}),
    ("catboost", "CatBoostClassifier", {"diffusion_temperature": 1000.0}, {}),
    ("lightgbm", "LGBMClassifier", {"cegb_penalty_feature_coupled": 30 * (20.0,)}, {}),
    ("lightgbm", "LGBMClassifier", {"cegb_penalty_feature_lazy": 30 * (0.1,)}, {}),
]


@pytest.mark.parametrize("penalties", [np.full(30, 0.1), [0.1] * 30, "20:.1"])
def test_penalties_of_catboost_may_be_an_array(penalties):
    continues = LIBRARIES["catboost"].continues
    assert continues({"learning_rate": 0.1, "per_object_feature_penalties": None})
    assert not continues({"learning_rate": 0.1, "per_object_feature_penalties": penalties})


@pytest.mark.filterwarnings("ignore:.*`booster=dart` is deprecated")  # XGBoost 3.4
@pytest.mark.parametrize(("library", "name", "params", "fit_params"), ANEW)
def test_a_model_that_would_become_another_one_is_fitted_anew(library, name, params, fit_params):
    grown, once = both(library, make(library, name, **params), BINARY, fit_params=fit_params)
    assert np.array_equal(outputs(grown, BINARY[0]), outputs(once, BINARY[0]))
    assert n_rounds(grown) == n_rounds(once)
    assert parameters(grown) == parameters(once)


def test_predicted_variances_are_fitted_anew():
    estimator = make("catboost", "CatBoostRegressor", **FIXED, loss_function="RMSEWithUncertainty")
    grown, once = both("catboost", estimator, REAL)
    assert np.array_equal(grown.predict(REAL[0]), once.predict(REAL[0]))


def test_a_ranker_that_learns_how_positions_mislead_is_fitted_anew():
    estimator = make("xgboost", "XGBRanker", lambdarank_unbiased=True)
    grown, once = both("xgboost", estimator, RANKED, fit_params={"qid": np.repeat([0, 1], 221)})
    assert np.array_equal(grown.predict(REAL[0]), once.predict(REAL[0]))
    assert n_rounds(grown) == 9


@pytest.mark.parametrize("weights", [[1, 3], {0: 1, 1: 3}])
@pytest.mark.parametrize("goes_on", [True, False])
def test_a_list_or_dict_that_is_searched_in_catboost(weights, goes_on):
    """`clone` refuses a CatBoost model that has one, as its constructor copies what it is given."""
    X, y = BINARY
    estimator = make("catboost", "CatBoostClassifier", **FIXED, **({} if goes_on else {"boost_from_average": True}))
    search = HyperbandSearchCV(
        estimator,
        {"class_weights": [weights], "depth": [2, 4]},
        resource="iterations",
        min_resources=3,
        max_resources=9,
        sampler="random",
        random_state=0,
        cv=2,
    ).fit(X, y)
    best = {name: [value] for name, value in search.best_params_.items()}
    once = GridSearchCV(clone(estimator).set_params(iterations=9), best, cv=2).fit(X, y)
    assert set(search.cv_results_["status"]) <= {"ok", "pruned", "stopped"}
    assert search.best_score_ == pytest.approx(once.best_score_, abs=1e-12)


def test_catboost_does_not_go_on_on_graphics_cards():
    library = library_of(make("catboost", "CatBoostClassifier"))
    assert library.continues({"learning_rate": 0.1, "task_type": "CPU"})
    assert not library.continues({"learning_rate": 0.1, "task_type": "GPU"})


@pytest.mark.parametrize("by_fit", [True, False])
@pytest.mark.parametrize("kind", ["cat_features", "text_features"])
def test_words_are_fitted_anew(kind, by_fit):
    X = COLOURS.assign(e=[f"word{i % 7} thing{i % 5}" for i in range(569)])
    names = {kind: ("e",)}
    estimator = make("catboost", "CatBoostClassifier", **({} if by_fit else names))
    grown, once = both("catboost", estimator, (X, BINARY[1]), fit_params=names if by_fit else {})
    assert np.array_equal(outputs(grown, X), outputs(once, X))


def test_a_schedule_of_learning_rates_is_kept():
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    fit_params = {"callbacks": [lightgbm.reset_parameter(learning_rate=lambda number: 0.5**number)]}
    grown, once = both("lightgbm", make("lightgbm", "LGBMRegressor"), REAL, fit_params=fit_params)
    assert np.array_equal(outputs(grown, REAL[0]), outputs(once, REAL[0]))
    schedule = xgboost.callback.LearningRateScheduler(halved)
    grown, once = both("xgboost", make("xgboost", "XGBRegressor", callbacks=[schedule]), REAL)
    assert np.array_equal(outputs(grown, REAL[0]), outputs(once, REAL[0]))


@pytest.mark.parametrize("save_best", [True, False])
def test_early_stopping_of_xgboost_remembers_nothing_of_an_earlier_fit(save_best):
    xgboost = pytest.importorskip("xgboost")
    stop = xgboost.callback.EarlyStopping(rounds=2, save_best=save_best)
    estimator = make("xgboost", "XGBClassifier", callbacks=[stop], learning_rate=1.0, max_depth=1)
    for last in (1, 3, 9, 27):
        levels = [level for level in (1, 3, 9, 27) if level <= last]
        fit_params = {"eval_set": [HELD_OUT], "verbose": False}
        growth = Boosting(resource="n_estimators", max_resources=27)
        grown = grow(growth, estimator, *BINARY, levels, fit_params=fit_params)
        once = clone(estimator).set_params(n_estimators=last).fit(*BINARY, **fit_params)
        assert np.array_equal(outputs(grown, BINARY[0]), outputs(once, BINARY[0]))
        assert n_rounds(grown) == n_rounds(once)
    assert n_rounds(once) < 27


def test_callbacks_of_the_refitted_model_have_seen_its_rounds():
    xgboost = pytest.importorskip("xgboost")

    class Counts(xgboost.callback.TrainingCallback):
        n_rounds = 0

        def after_iteration(self, model, epoch, evals_log):
            self.n_rounds += 1
            return False

    estimator = make("xgboost", "XGBClassifier", callbacks=[Counts()])
    growth = Boosting(resource="n_estimators", max_resources=9)
    assert grow(growth, estimator, *BINARY).get_params()["callbacks"][0].n_rounds == 9
    assert estimator.callbacks[0].n_rounds == 0


def halved(number):
    return 0.5**number


def test_fitting_anew_is_what_these_cases_need():
    """The library itself goes on to another model, or not at all."""
    lightgbm = pytest.importorskip("lightgbm")
    X, y = BINARY
    for params in ({"boosting_type": "dart"}, {"data_sample_strategy": "goss", "learning_rate": 0.5}):
        estimator = make("lightgbm", "LGBMClassifier", **params)
        first = clone(estimator).set_params(n_estimators=3).fit(X, y)
        rest = clone(estimator).set_params(n_estimators=6).fit(X, y, init_model=first)
        once = clone(estimator).set_params(n_estimators=9).fit(X, y)
        assert not np.allclose(outputs(rest, X), outputs(once, X))
    forest = make("lightgbm", "LGBMClassifier", boosting_type="rf", subsample=0.5, subsample_freq=1, n_estimators=3)
    with pytest.raises(lightgbm.basic.LightGBMError, match="init_score"):
        clone(forest).fit(X, y, init_model=forest.fit(X, y))


# --- what a grown model is ------------------------------------------------------------------------------------

ONE_EACH = [
    ("lightgbm", "LGBMClassifier"),
    ("xgboost", "XGBClassifier"),
    ("catboost", "CatBoostClassifier"),
]


class Counter(TransformerMixin, BaseEstimator):
    """Counts its fits."""

    fits = 0

    def fit(self, X, y=None):
        type(self).fits += 1
        return self

    def transform(self, X):
        return X


@pytest.mark.parametrize(("library", "name"), ONE_EACH)
def test_steps_before_a_booster_are_fitted_once(library, name):
    X, y = BINARY
    model = make(library, name, **(FIXED if library == "catboost" else {}))
    estimator = Pipeline([("count", Counter()), ("scale", StandardScaler()), ("last", model)])
    resource = f"last__{ROUNDS[library]}"
    Counter.fits = 0
    grown = grow(Boosting(resource=resource, max_resources=9), estimator, X, y)
    assert Counter.fits == 1
    once = clone(estimator).set_params(**{resource: 9}).fit(X, y)
    np.testing.assert_allclose(outputs(grown, X), outputs(once, X), rtol=0, atol=1e-12 if library == "catboost" else 0)
    assert grown["last"].get_params()[ROUNDS[library]] == 9


@pytest.mark.parametrize(("library", "name"), ONE_EACH)
def test_a_paused_booster_leaves_the_data_behind(library, name):
    X, y = make_classification(20_000, 20, random_state=0)
    estimator = make(library, name)
    grown = grow(Boosting(resource=ROUNDS[library], max_resources=9), estimator, X, y, [1, 3])
    once = clone(estimator).set_params(**{ROUNDS[library]: 3}).fit(X, y)
    assert len(pickle.dumps(grown)) < 1.5 * len(pickle.dumps(once)) + 50_000 < X.nbytes / 4


@pytest.mark.parametrize(("library", "name"), ONE_EACH)
def test_only_the_difference_is_trained(library, name, monkeypatch):
    argument = "xgb_model" if library == "xgboost" else "init_model"
    calls = []
    model = make(library, name)
    kind = next(cls for cls in type(model).__mro__ if "fit" in vars(cls))

    @functools.wraps(kind.fit)
    def watched(self, X, y, fit=kind.fit, **params):
        calls.append((self.get_params()[ROUNDS[library]], params.get(argument) is not None))
        return fit(self, X, y, **params)

    monkeypatch.setattr(kind, "fit", watched)
    growth = Boosting(resource=ROUNDS[library], max_resources=9)
    for trained, level in [(0, 1), (1, 3), (3, 9)]:
        growth.fit(model, Fold(*MULTI, {}, SEED), n_resources=level, trained=trained)
    assert calls == [(1, False), (2, True), (6, True)]


@pytest.mark.parametrize(("library", "name"), ONE_EACH)
def test_a_growth_changes_the_booster_it_is_given(library, name):
    X, y = MULTI
    model = make(library, name)
    growth = Boosting(resource=ROUNDS[library], max_resources=9)
    for trained, level in [(0, 1), (1, 3), (3, 9)]:
        assert growth.fit(model, Fold(X, y, {}, SEED), n_resources=level, trained=trained) is model
        assert n_rounds(model) == model.get_params()[ROUNDS[library]] == level
        assert set(model.predict(X).ravel()) == {0, 1, 2}
        assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize(("library", "name"), ONE_EACH)
def test_a_start_of_the_users_own_comes_first(library, name):
    """What `init_model` has is not counted; the rounds made come on top of it."""
    X, y = BINARY
    estimator = make(library, name)
    start = clone(estimator).set_params(**{ROUNDS[library]: 5}).fit(X, y)
    argument = "xgb_model" if library == "xgboost" else "init_model"
    grown, once = both(library, estimator, BINARY, fit_params={argument: start})
    assert n_rounds(grown) == n_rounds(once) == 14


def test_a_searched_step_that_is_no_booster_is_fitted_anew():
    X, y = MULTI
    growth = Boosting(resource="last__n_estimators", max_resources=9)
    grown = grow(growth, Pipeline([("last", NoBooster())]), X, y, [1, 3])
    assert grown["last"].size_ == 3


class NoBooster(ClassifierMixin, BaseEstimator):
    def __init__(self, n_estimators=5):
        self.n_estimators = n_estimators

    def fit(self, X, y):
        self.size_ = self.n_estimators
        return self


# --- the choice -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "name", "params", "asked_for", "resource", "most"),
    [
        ("lightgbm", "LGBMClassifier", {}, "auto", "n_estimators", 100),
        ("lightgbm", "LGBMClassifier", {"num_iterations": 40}, "auto", "num_iterations", 40),
        ("lightgbm", "LGBMClassifier", {"num_iterations": 40}, "n_estimators", "num_iterations", 40),
        ("lightgbm", "LGBMClassifier", {}, "num_iterations", "n_estimators", 100),
        ("xgboost", "XGBClassifier", {}, "auto", "n_estimators", 100),
        ("xgboost", "XGBRegressor", {"n_estimators": 30}, "n_estimators", "n_estimators", 30),
        ("catboost", "CatBoostClassifier", {}, "auto", "iterations", 1000),
        ("catboost", "CatBoostClassifier", {}, "n_estimators", "n_estimators", 1000),
        ("catboost", "CatBoostClassifier", {"n_estimators": 30}, "auto", "n_estimators", 30),
        ("catboost", "CatBoostClassifier", {"n_estimators": 30}, "iterations", "n_estimators", 30),
        ("catboost", "CatBoostRegressor", {"iterations": 30}, "n_estimators", "iterations", 30),
    ],
)
def test_the_rounds_of_a_booster_grow_by_the_name_it_sets(library, name, params, asked_for, resource, most):
    estimator = make(library, name, **params)
    resolved = resolve(estimator, asked_for)
    assert resolved.growth == Boosting(resource=resource, max_resources=most)
    assert resolved.max_resources == most
    prefixed = asked_for if asked_for == "auto" else f"{name.lower()}__{asked_for}"
    resolved = resolve(make_pipeline(StandardScaler(), estimator), prefixed)
    assert resolved.growth == Boosting(resource=f"{name.lower()}__{resource}", max_resources=most)
    X, y = MULTI
    grown = grow(Boosting(resource=resource, max_resources=9), estimator, X, y)
    assert n_rounds(grown) == 9


@pytest.mark.parametrize(
    ("library", "name", "searched"),
    [
        ("lightgbm", "LGBMClassifier", "num_trees"),
        ("xgboost", "XGBClassifier", "n_estimators"),
        ("catboost", "CatBoostClassifier", "num_boost_round"),
    ],
)
def test_rounds_that_are_searched_by_another_name_do_not_grow(library, name, searched):
    estimator = make(library, name)
    assert resolve(estimator, searched_names=[searched]).growth.resource == "n_samples"
    also = "" if searched == ROUNDS[library] else f", as '{searched}'"
    with pytest.raises(ValueError, match=f"resource='{ROUNDS[library]}' is also searched{also};"):
        resolve(estimator, ROUNDS[library], searched_names=[searched])


@pytest.mark.parametrize(("library", "name"), ONE_EACH)
def test_boosters_are_known_by_their_classes(library, name):
    class Own(type(make(library, name))):
        pass

    class Closed(type(make(library, name))):
        def fit(self, X, y):
            return super().fit(X, y)

    assert isinstance(resolve(Own()).growth, Boosting)
    assert resolve(Closed()).growth == Refit(resource=ROUNDS[library])


@pytest.mark.filterwarnings("ignore:`XGBRFClassifier` is deprecated:FutureWarning")  # XGBoost 3.4
def test_the_one_round_of_an_xgboost_forest_does_not_grow():
    forest = make("xgboost", "XGBRFClassifier", n_estimators=9)
    assert resolve(forest).growth.resource == "n_samples"
    assert resolve(forest, "n_estimators").growth == Refit(resource="n_estimators")


def test_amounts_without_sense_are_refused():
    estimator = make("catboost", "CatBoostClassifier", iterations=2.5)
    with pytest.raises(ValueError, match=r"must be an integer parameter, the estimator has 2\.5"):
        resolve(estimator, "iterations")


# --- whole searches -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("library", "name"), ONE_EACH)
def test_a_search_grows_boosters_and_refits_as_the_top_rung(library, name):
    X, y = MULTI
    estimator = make(library, name, **(FIXED if library == "catboost" else {}))
    if library == "catboost":
        estimator = estimator.set_params(iterations=9)
    search = HyperbandSearchCV(
        estimator,
        {"learning_rate": [0.05, 0.1, 0.2, 0.4], "max_depth": [2, 3, 4]},
        max_resources=9,
        n_candidates=9,
        schedule="hyperband",
        brackets=1,
        cv=3,
        n_jobs=2,
        random_state=0,
    ).fit(X, y)
    assert search.resource_ == ROUNDS[library]
    assert n_rounds(search.best_estimator_) == 9
    best = clone(estimator).set_params(**search.best_params_, **{ROUNDS[library]: 9})
    assert search.best_score_ == pytest.approx(cross_val_score(best, X, y, cv=3).mean(), abs=1e-12)
