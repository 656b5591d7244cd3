"""Steps of a Pipeline that are themselves searched: what may stand there decides what grows, and how far."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.metaestimators import available_if

from resolution import resolve
from sksearch import HyperbandSearchCV
from sksearch.resources import Boosting, Fold, PartialFit, Refit, WarmStart, grows_classifier

FOREST, EXTRA = RandomForestClassifier(n_estimators=27), ExtraTreesClassifier(n_estimators=27)
PLACEHOLDER = Pipeline([("scale", StandardScaler()), ("clf", SVC())])


def resolve_step(resource, *values, estimator=PLACEHOLDER, branches=None, **changes):
    """Each of the values of the step `clf` in a branch of its own."""
    if branches is None:
        branches = [{"clf": [value]} for value in values]
    return resolve(estimator, resource, **{"searched_names": ["clf"], "branches": branches, **changes})


def test_what_a_searched_step_may_be_decides_what_grows():
    """The step's own value is in no trial."""
    assert resolve_step("clf__n_estimators", FOREST, EXTRA) == (WarmStart("clf__n_estimators", 27), 3, 27)
    assert resolve_step("clf__n_estimators", FOREST, LGBMClassifier(n_estimators=27)) == (
        Boosting("clf__n_estimators", 27),
        3,
        27,
    )
    assert resolve_step("clf__max_iter", SVC(max_iter=9)) == (Refit("clf__max_iter"), 1, 9)
    assert resolve_step("clf__n_estimators", FOREST, BaggingClassifier(), max_resources=9).max_resources == 9
    assert resolve_step("partial_fit", SGDClassifier(), GaussianNB()) == (PartialFit(81), 1, 81)
    scaled = Pipeline([("scale", StandardScaler()), ("sgd", SGDClassifier())])
    assert resolve_step("partial_fit", SGDClassifier(), scaled) == (PartialFit(81), 1, 81)
    assert resolve_step("auto", FOREST, EXTRA).growth.resource == "n_samples"


@pytest.mark.parametrize(
    ("resource", "values", "message"),
    [
        (
            "clf__n_estimators",
            [FOREST, SVC()],
            "is no parameter with clf=SVC, which is searched; use resource='n_samples'",
        ),
        ("clf__n_estimators", [FOREST, "passthrough"], "is no parameter with clf='passthrough', which is searched"),
        ("clf__n_estimators", [FOREST, BaggingClassifier()], "clf__n_estimators, which is 10 or 27 with the steps"),
        (
            "clf__n_estimators",
            [FOREST, LGBMClassifier(num_iterations=27), LGBMClassifier(n_estimators=27)],
            "several names, 'clf__num_iterations' with clf=LGBMClassifier; 'clf__n_estimators' with clf=LGBM",
        ),
        ("clf__n_estimators", [FOREST, LGBMClassifier(num_iterations=27)], "no parameter with clf=RandomForest"),
        ("partial_fit", [SGDClassifier(), SVC()], r"SVC has none as it is set.* \(It is searched: clf=SVC\.\)"),
    ],
)
def test_every_value_of_a_searched_step_has_the_resource(resource, values, message):
    """Else all fits of that value fail, or grow to another size."""
    for amount in ("auto", 27)[: 1 if "27 with" in message else 2]:
        with pytest.raises(ValueError, match=message):
            resolve_step(resource, *values, max_resources=amount)


def test_a_step_that_only_some_branches_search_may_also_be_the_own_one():
    forest = Pipeline([("clf", FOREST)])
    branches = [{}, {"clf": [RandomForestClassifier(n_estimators=9)]}]
    with pytest.raises(ValueError, match="which is 9 or 27"):
        resolve_step("clf__n_estimators", estimator=forest, branches=branches)
    assert resolve_step("clf__n_estimators", estimator=forest, branches=branches[1:]).max_resources == 9


def test_the_message_names_the_step():
    steps = Pipeline([("sel", PCA(4)), ("clf", SVC())])
    branches = [{"sel": [PCA(3)]}, {"sel": ["passthrough"]}]
    with pytest.raises(
        ValueError, match="sel__n_components' is no parameter with sel='passthrough', which is searched"
    ):
        resolve_step("sel__n_components", estimator=steps, branches=branches, max_resources=4)
    with pytest.raises(TypeError, match=r"clf=.*RandomForestClassifier'> is a class; search objects of it"):
        resolve_step("clf__n_estimators", RandomForestClassifier, EXTRA)


@pytest.mark.parametrize("values", [[LGBMClassifier(), FOREST], [FOREST, LGBMClassifier()]])
def test_names_of_rounds_do_not_depend_on_the_order(values):
    growth = resolve_step("clf__num_iterations", *values, max_resources=9).growth
    assert growth == Boosting("clf__n_estimators", 9)


def test_a_model_that_has_the_parameter_within_another_is_fitted_anew():
    X, y = load_iris(return_X_y=True)
    forest = RandomForestClassifier(9, random_state=0)
    booster = LGBMClassifier(n_estimators=9, verbose=-1)
    steps = Pipeline([("pca", PCA(3)), ("estimator", forest)])
    within = [steps, CalibratedClassifierCV(forest, cv=2), OneVsRestClassifier(booster)]
    growth = resolve_step("clf__estimator__n_estimators", *within, max_resources=9).growth
    for model in within:
        pipeline, trained = clone(PLACEHOLDER).set_params(clf=clone(model)), 0
        once = clone(pipeline).fit(X, y)
        for n_resources in (1, 3, 9):
            pipeline = pickle.loads(pickle.dumps(pipeline))
            pipeline = growth.fit(pipeline, Fold(X, y, {}, (7, 2)), n_resources=n_resources, trained=trained)
            trained = n_resources
        assert np.array_equal(pipeline.predict_proba(X), once.predict_proba(X))


@pytest.mark.parametrize("resource", ["partial_fit", "n_samples"])
def test_a_placeholder_may_be_no_classifier(resource):
    X, y = load_iris(return_X_y=True)
    space = {"clf": [SGDClassifier(random_state=0), SGDClassifier(alpha=1e-3, random_state=0)]}
    blank = Pipeline([("scale", StandardScaler()), ("clf", "passthrough")])
    cv = StratifiedKFold(3)
    search = HyperbandSearchCV(blank, space, resource=resource, max_resources=9, scoring="accuracy", cv=cv)
    if resource == "n_samples":
        with pytest.raises(ValueError, match="min_resources=2 rows are too few to hold one of each class"):
            search.set_params(min_resources=2).fit(X, y)
        search.set_params(min_resources=3)
    search.fit(X, y)
    assert set(search.cv_results_["status"]) <= {"ok", "paused", "pruned"}
    assert search.plan(X, y) == search.brackets_


def test_a_placeholder_may_be_a_classifier_where_regressors_are_searched():
    """Neither its labels nor their shares are of interest then."""
    X, y = load_diabetes(return_X_y=True)
    searches = {
        resource: HyperbandSearchCV(
            PLACEHOLDER,
            {"clf": [model, clone(model).set_params(alpha=1e-3)]},
            resource=resource,
            max_resources=27,
            scoring="r2",
            cv=KFold(3),
            refit=False,
        ).fit(X, y)
        for resource, model in [("partial_fit", SGDRegressor()), ("n_samples", Ridge())]
    }
    assert set(searches["partial_fit"].cv_results_["status"]) <= {"ok", "paused", "pruned"}
    assert searches["n_samples"].n_resources_ == [9, 27]  # two rows a fold, at least


def test_a_searched_model_within_another_decides_too():
    branches = [{"estimator": [SGDClassifier(), SGDRegressor()]}]
    for estimator in (SelectFromModel(SGDRegressor()), SelectFromModel(SGDClassifier())):
        arguments = {"estimator": estimator, "searched_names": ["estimator"]}
        assert resolve_step("auto", branches=branches, **arguments).growth.resource == "n_samples"
        with pytest.raises(ValueError, match="does not suit SelectFromModel"):
            resolve_step("partial_fit", branches=branches, **arguments)
        regressors = [{"estimator": [SGDRegressor()]}]
        assert resolve_step("partial_fit", branches=regressors, **arguments).growth == PartialFit(81)
    arguments = {"estimator": OneVsRestClassifier(SVC()), "searched_names": ["estimator"]}
    assert resolve_step("partial_fit", branches=[{"estimator": [SGDClassifier()]}], **arguments).max_resources == 81
    with pytest.raises(ValueError, match=r"has none as it is set; .* \(It is searched: estimator=SVC\.\)"):
        resolve_step("partial_fit", branches=[{"estimator": [SGDClassifier(), SVC()]}], **arguments)


STEPS = [
    [("clf", RandomForestClassifier(n_estimators=9))],
    [("scale", StandardScaler()), ("clf", RandomForestClassifier(n_estimators=27))],
]


def test_all_steps_may_be_searched_at_once():
    arguments = {"searched_names": ["steps"]}
    for passes in (SGDClassifier(), RandomForestClassifier()):
        estimator, branches = Pipeline([("clf", passes)]), [{"steps": [*STEPS, [("last", SGDClassifier())]]}]
        arguments = {"estimator": estimator, "searched_names": ["steps"]}
        assert resolve_step("auto", branches=branches, **arguments).growth.resource == "n_samples"
        with pytest.raises(ValueError, match=r"RandomForestClassifier has none.*It is searched: steps=list"):
            resolve_step("partial_fit", branches=branches, **arguments)
        with pytest.raises(ValueError, match="'clf__n_estimators' is no parameter with steps=list"):
            resolve_step("clf__n_estimators", branches=branches, max_resources=9, **arguments)
        with pytest.raises(ValueError, match="which is 9 or 27 with the steps"):
            resolve_step("clf__n_estimators", branches=[{"steps": STEPS}], **arguments)
    nested = Pipeline([("scale", StandardScaler()), ("model", Pipeline([("clf", SVC())]))])
    arguments = {"estimator": nested, "searched_names": ["model__steps"], "max_resources": 9}
    growth = resolve_step("model__clf__n_estimators", branches=[{"model__steps": STEPS}], **arguments).growth
    assert growth == WarmStart("model__clf__n_estimators", 9)


@pytest.mark.parametrize(
    ("value", "error", "reason"),
    [
        ([], ValueError, r"steps=\[\] is no list of \(name, estimator\) pairs"),
        (5, ValueError, "steps=5 is no list"),
        (["clf"], ValueError, "is no list of"),
        ([("clf", SGDClassifier)], TypeError, r"clf=<class .*> is a class; search objects of it: SGDClassifier\("),
    ],
)
def test_what_can_be_no_steps_is_refused(value, error, reason):
    branches = [{"steps": [[("clf", SGDClassifier())], value]}]
    for resource in ("partial_fit", "clf__max_iter"):
        with pytest.raises(error, match=reason):
            resolve_step(
                resource, estimator=Pipeline([("clf", SGDClassifier())]), branches=branches, searched_names=["steps"]
            )


def test_a_parameter_named_steps_of_something_else_is_no_step():
    class Walks(SGDClassifier):
        def __init__(self, steps=1):
            super().__init__()
            self.steps = steps

    for estimator, name in [(Walks(), "steps"), (Pipeline([("clf", Walks())]), "clf__steps")]:
        arguments = {"estimator": estimator, "searched_names": [name], "branches": [{name: [1, 2, 3]}]}
        assert resolve_step("auto", **arguments).growth == PartialFit(81)


def test_a_searched_model_under_another_name_decides_as_well():
    sgd = [SGDClassifier(), SGDClassifier(alpha=1)]
    for model, branch, resource in [
        (HandsOn(LogisticRegression()), {"model": sgd, "model__early_stopping": [True, False]}, "n_samples"),
        (HandsOn(LogisticRegression()), {"model": sgd, "model__early_stopping": [False]}, "partial_fit"),
        (HandsOn(GaussianNB()), {"model": sgd}, "partial_fit"),
        (HandsOn(SGDClassifier()), {"model": [GaussianNB()]}, "n_samples"),
    ]:
        arguments = {"estimator": model, "searched_names": list(branch), "branches": [branch]}
        assert resolve_step("auto", **arguments).growth.resource == resource


def test_iterations_that_passes_ignore_are_found_in_subclasses_and_within():
    class Own(SGDClassifier):
        pass

    for model, name in [(Own(), "max_iter"), (OneVsRestClassifier(SGDClassifier()), "estimator__max_iter")]:
        arguments = {"estimator": model, "searched_names": [name], "branches": [{}]}
        assert resolve_step("auto", **arguments).growth.resource == "n_samples"
        with pytest.raises(
            ValueError, match=f"passes, for which {name} means nothing, but it is searched; .* resource='n_samples'"
        ):
            resolve_step("partial_fit", **arguments)


def test_what_the_search_sets_counts_and_not_what_the_estimator_has():
    for estimator, branch in [
        (SGDClassifier(early_stopping=True), {"early_stopping": [False]}),
        (MLPClassifier(solver="lbfgs"), {"solver": ["adam", "sgd"]}),
        (MultiOutputClassifier(OneVsRestClassifier(SVC())), {"estimator__estimator": [SGDClassifier()]}),
        (HandsOn(SVC()), {"model": [SGDClassifier(), SGDClassifier(alpha=1)]}),
        (Pipeline([("clf", HandsOn(SVC()))]), {"clf__model": [SGDClassifier()]}),
    ]:
        arguments = {"estimator": estimator, "searched_names": list(branch), "branches": [branch]}
        assert resolve_step("partial_fit", **arguments).growth == PartialFit(81)
        with pytest.raises(ValueError, match="resource='partial_fit'"):
            resolve_step("partial_fit", estimator=estimator, branches=[{}])


class HandsOn(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Makes passes with a model under a name of its own, and hands on whatever it gets."""

    def __init__(self, model=None):
        self.model = model

    @available_if(lambda self: hasattr(self.model, "partial_fit"))
    def partial_fit(self, X, y=None, **params):
        if not hasattr(self, "model_"):
            self.model_ = clone(self.model)
        self.model_.partial_fit(X, y, **params)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(X)


def test_a_model_that_hands_on_what_it_gets_is_told_the_labels():
    X, y = load_iris(return_X_y=True)
    fold = Fold(X, y, {}, (7, 2), np.unique(y))
    growth = PartialFit(max_resources=9)
    handed = growth.fit(HandsOn(SGDClassifier(random_state=0)), fold, n_resources=9, trained=0)
    alone = growth.fit(SGDClassifier(random_state=0), fold, n_resources=9, trained=0)
    assert np.array_equal(handed.predict(X), alone.predict(X))


def test_whether_rows_are_stratified_is_decided_by_the_model_that_is_searched():
    """RFE is a classifier if the one within is."""
    for searched, classifies in [(LogisticRegression(), True), (Ridge(), False)]:
        for placeholder in (LogisticRegression(), Ridge()):
            branches = [{"estimator": [searched, clone(searched)]}]
            assert grows_classifier(RFE(placeholder), branches) == classifies
            assert (
                grows_classifier(Pipeline([("rfe", RFE(placeholder))]), [{"rfe__estimator": [searched]}]) == classifies
            )


def test_many_searched_models_are_looked_at_once_each():
    """Every one was set again beside every other."""

    class Counted(SGDClassifier):
        n_clones = 0

        def __sklearn_clone__(self):
            type(self).n_clones += 1
            return super().__sklearn_clone__()

    branches = [{"estimator": [Counted(alpha=10**-n) for n in range(30)]}]
    arguments = {"estimator": OneVsRestClassifier(SGDClassifier()), "searched_names": ["estimator"]}
    assert resolve_step("partial_fit", branches=branches, **arguments).growth == PartialFit(81)
    assert Counted.n_clones <= 5 * 30


class Continued(LGBMClassifier):
    """Notes whether it goes on from another model."""

    def fit(self, X, y, init_model=None, **others):
        self.went_on_ = init_model is not None
        return super().fit(X, y, init_model=init_model, **others)


def test_a_booster_goes_on_beside_other_models():
    X, y = load_iris(return_X_y=True)
    model = Continued(n_estimators=9, verbose=-1)
    growth = resolve_step("clf__n_estimators", FOREST, model, max_resources=9).growth
    pipeline = clone(PLACEHOLDER).set_params(clf=model)
    for trained, n_resources in [(0, 3), (3, 9)]:
        pipeline = growth.fit(pipeline, Fold(X, y, {}, (7, 2)), n_resources=n_resources, trained=trained)
        assert pipeline["clf"].went_on_ == (trained > 0)
        assert pipeline["clf"].booster_.num_trees() == 3 * n_resources


MODELS = [
    RandomForestClassifier(n_estimators=9, random_state=0),
    GradientBoostingClassifier(n_estimators=9, random_state=0),
    LGBMClassifier(n_estimators=9, random_state=0, verbose=-1, deterministic=True, n_jobs=1),
    CatBoostClassifier(
        n_estimators=9,
        learning_rate=0.1,
        bootstrap_type="No",
        random_strength=0,
        verbose=0,
        thread_count=1,
        boosting_type="Plain",
        allow_writing_files=False,
    ),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_each_model_goes_on_in_its_own_way(model):
    X, y = load_iris(return_X_y=True)
    growth = resolve_step("clf__n_estimators", *MODELS).growth
    grown, trained = clone(PLACEHOLDER).set_params(clf=clone(model)), 0
    for n_resources in (1, 3, 9):
        grown = pickle.loads(pickle.dumps(grown))
        first = grown["clf"].estimators_[0] if trained and hasattr(grown["clf"], "estimators_") else None
        grown = growth.fit(grown, Fold(X, y, {}, (7, 2)), n_resources=n_resources, trained=trained)
        assert first is None or np.all(grown["clf"].estimators_[0] == first)  # it is not fitted anew
        trained = n_resources
    once = clone(PLACEHOLDER).set_params(clf=clone(model)).fit(X, y)
    assert grown.predict_proba(X) == pytest.approx(once.predict_proba(X), abs=1e-12)


@pytest.mark.parametrize(
    "space",
    [
        {"clf": MODELS, "scale": [StandardScaler(), "passthrough"]},
        {
            "steps": [[("last", PCA(2)), ("clf", model)] for model in MODELS[:2]],
            "last__whiten": [True, False],
            "clf__max_depth": [1, 3],
        },
    ],
    ids=["one by one", "all"],
)
def test_a_search_over_steps_of_several_kinds_has_the_scores_of_models_fitted_at_once(space):
    X, y = load_iris(return_X_y=True)
    search = HyperbandSearchCV(
        PLACEHOLDER,
        space,
        resource="clf__n_estimators",
        min_resources=1,
        cv=3,
        schedule="hyperband",
        prune_folds=False,
        sampler="random",
        refit=False,
        random_state=0,
    ).fit(X, y)
    assert {row["n_resources"] for row in search.history_} == {1, 3, 9}
    for row in search.history_:
        parameters = {name: clone(row[f"param_{name}"], safe=False) for name in space}
        model = clone(PLACEHOLDER).set_params(**parameters, clf__n_estimators=row["n_resources"])
        assert row["score"] == pytest.approx(cross_val_score(model, X, y, cv=3).mean(), abs=1e-12)
