"""Code written for scikit-optimize's BayesSearchCV, run with ours; scikit-optimize itself is not needed."""

from __future__ import annotations

import inspect
import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import OptimizeResult
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, LinearSVC

from sksearch import BayesSearchCV
from sksearch.execution import Delivery, Desk
from sksearch.gp.maximize import Domain, keys
from sksearch.samplers import BayesSampler, FixedSampler
from sksearch.samplers.quotas import Quotas
from sksearch.schedulers.full import FullScheduler
from sksearch.space import Categorical, Integer, Real, Space, parse_dimension
from sksearch.trials import Evaluation, FoldScore, History, Outcome, Trial

X, Y = make_classification(n_samples=60, n_features=4, random_state=0)
GROUPS = np.arange(60) % 5


class Flat(ClassifierMixin, BaseEstimator):
    """A score that depends on the parameters alone."""

    def __init__(self, a: float = 0.25, b: str = "x", c: int = 3) -> None:
        self.a, self.b, self.c = a, b, c

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Flat:
        if self.b == "broken":
            raise ValueError("b is broken")
        self.classes_ = np.unique(y)
        return self

    def score(self, X: Any, y: Any) -> float:
        return 1.0 - (self.a - 0.3) ** 2 + 0.1 * (self.b == "y") - 0.01 * self.c


class NeverFitted(Flat):
    """Must not be reached by a search that refuses its arguments."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NeverFitted:
        pytest.fail("a fit was started although the arguments are unusable")


def score_of(params: dict[str, Any]) -> float:
    return Flat(**params).score(None, None)


# --- the documented ways to call it ---------------------------------------------------------------------------------


def test_ranges_and_categories_of_an_svc() -> None:
    train, test, y_train, y_test = train_test_split(*load_iris(return_X_y=True), train_size=0.75, random_state=0)
    space = {
        "C": Real(1e-6, 1e6, prior="log-uniform"),
        "gamma": Real(1e-6, 1e1, prior="log-uniform"),
        "degree": Integer(1, 8),
        "kernel": Categorical(["linear", "poly", "rbf"]),
    }
    opt = BayesSearchCV(SVC(), space, n_iter=20, cv=3, random_state=0)
    assert opt.fit(train, y_train) is opt
    assert opt.score(test, y_test) > 0.9
    assert type(opt.best_params_) is dict
    assert list(map(type, map(opt.best_params_.get, ("C", "degree", "kernel")))) == [float, int, str]


def test_short_forms_of_the_same_space() -> None:
    written = {"C": (1e-6, 1e6, "log-uniform"), "degree": (1, 8), "kernel": ["linear", "poly", "rbf"]}
    objects = {
        "C": Real(1e-6, 1e6, "log-uniform"),
        "degree": Integer(1, 8),
        "kernel": Categorical(["linear", "poly", "rbf"]),
    }
    tried = [
        BayesSearchCV(SVC(), space, n_iter=8, cv=2, random_state=1).fit(X, Y).cv_results_["params"]
        for space in (written, objects)
    ]
    assert tried[0] == tried[1]


def test_models_of_a_pipeline_each_with_a_number_of_trials_and_a_callback_that_stops() -> None:
    digits, labels = load_digits(n_class=3, return_X_y=True)
    pipe = Pipeline([("model", SVC())])
    linear = {"model": [LinearSVC(max_iter=10000)], "model__C": (1e-6, 1e6, "log-uniform")}
    svc = {
        "model": Categorical([SVC()]),
        "model__C": Real(1e-6, 1e6, prior="log-uniform"),
        "model__degree": Integer(1, 8),
        "model__kernel": Categorical(["linear", "poly", "rbf"]),
    }
    seen: list[float] = []

    def on_step(optim_result: OptimizeResult) -> bool:
        seen.append(-optim_result["fun"])
        return seen[-1] >= 2.0  # never

    opt = BayesSearchCV(pipe, [(linear, 3), (svc, 5)], cv=2, random_state=0)
    assert opt.total_iterations == 8
    opt.fit(digits, labels, callback=on_step)
    counts = Counter(type(params["model"]).__name__ for params in opt.cv_results_["params"])
    assert counts == {"LinearSVC": 3, "SVC": 5}
    assert len(seen) == 8
    assert seen[-1] == opt.best_score_
    assert opt.stop_reason_ == "budget"


# --- quotas ---------------------------------------------------------------------------------------------------------

BRANCHES: list[dict[str, Any]] = [
    {"a": (0.0, 1.0)},
    {"b": ["x", "y", "z"], "a": (0.0, 0.5)},  # not in the order of the names
    {"b": ["x", "y"]},
    {"a": [0.1, 0.2, 0.3], "c": (1, 9)},
    {"c": (1, 10_000, "log-uniform")},
]


def branch_counts(search: Any, spaces: list[dict[str, Any]]) -> list[int]:
    names = [set(space) for space in spaces]
    assert len(set(map(frozenset, names))) == len(names)
    counts = Counter(names.index(set(params)) for params in search.cv_results_["params"])
    return [counts[position] for position in range(len(spaces))]


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("seed", [0, None])
def test_each_dict_has_exactly_its_number_of_trials(n_jobs: int, seed: int | None) -> None:
    quotas = [2, 9, 1, 4]
    spaces = [BRANCHES[i] for i in (0, 1, 3, 4)]
    search = BayesSearchCV(Flat(), list(zip(spaces, quotas, strict=True)), cv=2, n_jobs=n_jobs, random_state=seed)
    with joblib.parallel_config(backend="threading"):
        search.fit(X, Y)
    assert branch_counts(search, spaces) == quotas
    assert search.stop_reason_ == "budget"
    assert search.total_iterations == sum(quotas)


def test_a_dict_without_a_number_has_n_iter() -> None:
    search = BayesSearchCV(Flat(), [(BRANCHES[0], 2), BRANCHES[4]], n_iter=5, cv=2, random_state=0).fit(X, Y)
    assert branch_counts(search, [BRANCHES[0], BRANCHES[4]]) == [2, 5]
    assert search.total_iterations == 7


def test_one_dict_with_a_number() -> None:
    search = BayesSearchCV(Flat(), [(BRANCHES[0], 6)], cv=2, random_state=0).fit(X, Y)
    assert len(search.cv_results_["params"]) == search.total_iterations == 6


def test_dicts_without_numbers_share_n_iter() -> None:
    search = BayesSearchCV(Flat(), [BRANCHES[0], BRANCHES[4]], n_iter=6, cv=2, random_state=0).fit(X, Y)
    assert len(search.cv_results_["params"]) == search.total_iterations == 6


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("other", [0, 3])  # a continuum; a finite dict, so that all points are enumerated
def test_a_dict_that_is_exhausted_leaves_its_trials_to_nobody(n_jobs: int, other: int) -> None:
    spaces = [BRANCHES[2], BRANCHES[other]]
    search = BayesSearchCV(Flat(), [(spaces[0], 7), (spaces[1], 4)], cv=2, n_jobs=n_jobs, random_state=0)
    with joblib.parallel_config(backend="threading"):
        search.fit(X, Y)
    assert branch_counts(search, spaces) == [2, 4]
    assert search.stop_reason_ == "exhausted"


def test_every_dict_is_among_the_first_trials() -> None:
    search = BayesSearchCV(
        Flat(), [(BRANCHES[0], 20), (BRANCHES[1], 20), (BRANCHES[4], 20)], n_initial_points=9, cv=2, random_state=0
    ).fit(X, Y)
    first = [frozenset(params) for params in search.cv_results_["params"][:9]]
    assert set(first) == {frozenset(BRANCHES[i]) for i in (0, 1, 4)}


def test_given_parameters_of_a_dict_that_has_had_its_trials_are_left_out() -> None:
    given = [{"a": 0.1}, {"a": 0.2}, {"a": 0.4, "b": "z"}]
    spaces = [BRANCHES[0], BRANCHES[1]]
    search = BayesSearchCV(
        Flat(a=5.0), [(spaces[0], 1), (spaces[1], 4)], initial_params=given, cv=2, random_state=0
    ).fit(X, Y)
    assert branch_counts(search, spaces) == [1, 4]
    assert {"a": 0.4, "b": "z"} in search.cv_results_["params"]
    spaces = [BRANCHES[0], BRANCHES[4]]
    given = [{"a": 0.1}, {"a": 0.2}, {"a": 0.3}, {"c": 77}]
    search = BayesSearchCV(Flat(a=5.0), [(spaces[0], 1), (spaces[1], 4)], initial_params=given, cv=2, random_state=0)
    assert branch_counts(search.fit(X, Y), spaces) == [1, 4]
    assert search.cv_results_["params"][1] == {"a": 0.1}
    assert {"c": 77} in search.cv_results_["params"]


def closed_by_hand(space: Space, params: list[dict[str, Any]], quotas: list[int]) -> set[int]:
    """Branches with as many trials as their quota; each trial counts for the first branch that holds it."""
    owners = Counter(
        next(
            position
            for position, branch in enumerate(space.branches)
            if branch.keys() == each.keys() and all(branch[name].contains(each[name]) for name in each)
        )
        for each in params
    )
    return {position for position, quota in enumerate(quotas) if owners[position] >= quota}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(range(6)), st.integers(1, 4)), min_size=1, max_size=3, unique_by=lambda p: p[0]),
    st.integers(0, 2**32 - 1),
)
def test_no_sequence_of_suggestions_exceeds_a_quota_and_none_ends_early(
    pairs: list[tuple[int, int]], seed: int
) -> None:
    branches = [*BRANCHES, {"a": (0.25, 0.75)}]  # the last overlaps the first
    quotas = [quota for _, quota in pairs]
    space = Space.parse([branches[i] for i, _ in pairs], argument="search_spaces", tuple_is_range=True)
    sampler = BayesSampler(space, n_trials=sum(quotas), quotas=quotas, n_initial_points=2)
    history, scores = History(), np.random.default_rng(seed)
    while True:
        number = len(history.trials)
        params = sampler.suggest(history, np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,))))
        if params is None:
            break
        assert number < sum(quotas)
        asked = [trial.params for trial in history.trials]
        assert params not in asked
        assert closed_by_hand(space, [*asked, params], quotas) >= closed_by_hand(space, asked, quotas)
        evaluation = Evaluation(Trial(number, params))
        history.asked(evaluation)
        if scores.random() < 0.7:  # the others stay pending
            history.told(Outcome(evaluation=evaluation, folds=(), score=float(scores.random())))
    asked = [trial.params for trial in history.trials]
    counts = Counter(int(space.branch_of(space.encode(each)[None])[0]) for each in asked)
    sizes = [np.prod([dimension.n_levels or np.inf for dimension in branch.values()]) for branch in space.branches]
    swallowed = [{0, 5} <= {i for i, _ in pairs} and i == 5 and [j for j, _ in pairs].index(0) < position
                 for position, (i, _) in enumerate(pairs)]  # fmt: skip
    for position, (quota, size) in enumerate(zip(quotas, sizes, strict=True)):
        assert counts[position] == (0 if swallowed[position] else min(quota, size))


def test_points_of_closed_branches_move_evenly_into_the_open_ones() -> None:
    space = Space.parse([{"a": Real(0, 1)}, {"b": ["x", "y"]}, {"c": Integer(1, 9)}], argument="search_spaces")
    known = np.array([space.encode({"b": "x"})])
    full = Domain(space.n_categories, space.level_units, space.snap)
    domain = Quotas(space, [5, 1, 5]).restrict(full, known)
    points = np.random.default_rng(0).random((30_000, space.n_columns))
    moved = domain.snap(points)
    assert np.bincount(space.branch_of(moved)) / 30_000 == pytest.approx([0.5, 0.0, 0.5], abs=0.01)
    stayed = space.branch_of(space.snap(points)) != 1
    np.testing.assert_array_equal(moved[stayed], space.snap(points)[stayed])
    np.testing.assert_array_equal(domain.snap(moved), moved)
    assert Quotas(space, [5, 5, 5]).restrict(full, known) is full
    assert Quotas(space, [1, 1, 1]).restrict(full, np.array([space.encode(p) for p in ({"a": 0.5}, {"b": "x"}, {"c": 1})])) is None  # fmt: skip  # noqa: E501


def test_a_point_that_an_open_branch_shares_with_a_closed_one_becomes_a_known_one() -> None:
    space = Space.parse([{"a": [1, 2, 3]}, {"a": [2, 3, 4]}], argument="search_spaces")
    known = np.array([space.encode({"a": 1})])
    domain = Quotas(space, [1, 9]).restrict(Domain(space.n_categories, space.level_units, space.snap), known)
    moved = domain.snap(np.random.default_rng(0).random((200, space.n_columns)))
    assert set(keys(moved)) == {*keys(known), *keys(space.encode({"a": 4})[None])}


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        ([(BRANCHES[0], 0)], r"search_spaces\[0\]: the number of trials must be a positive int, got 0"),
        (
            [BRANCHES[0], (BRANCHES[4], 2.5)],
            r"search_spaces\[1\]: the number of trials must be a positive int, got 2.5",
        ),
        ([(BRANCHES[0], True)], "must be a positive int, got True"),
        ([(BRANCHES[0],)], r"search_spaces\[0\] must be a dict or a pair \(dict, n_iter\)"),
        ([(BRANCHES[0], 3, 4)], r"must be a dict or a pair \(dict, n_iter\)"),
        ([(BRANCHES[0], 3), ({}, 4)], r"search_spaces\[1\]: a space is empty"),
        ([(BRANCHES[0], 3), dict(BRANCHES[0])], r"search_spaces\[1\] is the same as search_spaces\[0\]"),
        ([(BRANCHES[0], 3), ({"wrong": [1, 2, 3]}, 4)], r"search_spaces\[1\]: 'wrong' is not a parameter"),
    ],
)
def test_unusable_quotas_are_refused_before_any_fit(spaces: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BayesSearchCV(NeverFitted(), spaces, n_iter=5).fit(X, Y)


def test_a_seeded_search_with_quotas_is_the_same_on_threads_and_processes() -> None:
    tried = []
    for backend in ("threading", "loky"):
        search = BayesSearchCV(
            Flat(), [(BRANCHES[0], 5), (BRANCHES[1], 6)], cv=2, n_jobs=2, random_state=4, n_initial_points=3
        )
        with joblib.parallel_config(backend=backend):
            tried.append(search.fit(X, Y).cv_results_["params"])
    assert tried[0] == tried[1]


# --- dimensions -----------------------------------------------------------------------------------------------------


def foreign(kind: str, /, **attributes: Any) -> Any:
    """An object as of a class of scikit-optimize: only its name, its module and its attributes are looked at."""
    cls = type(kind, (), {"__module__": "skopt.space.space", "rvs": lambda self, **kw: [0]})
    instance = cls()
    vars(instance).update(attributes)
    return instance


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (foreign("Real", low=1, high=9, prior="uniform", base=10, dtype=float, name=None), Real(1.0, 9.0)),
        (foreign("Real", low=0.1, high=9.0, prior="log-uniform", base=2, name="p"), Real(0.1, 9.0, "log-uniform")),
        (foreign("Integer", low=1, high=9, prior="uniform", name=None), Integer(1, 9)),
        (foreign("Integer", low=1, high=99, prior="log-uniform", name=None), Integer(1, 99, "log-uniform")),
        (foreign("Categorical", categories=("a", "b"), prior=None, name=None), Categorical(["a", "b"])),
        (foreign("Categorical", categories=(1, 2), prior=[0.25, 0.75], name=None), Categorical([1, 2], [0.25, 0.75])),
    ],
)
def test_objects_of_scikit_optimize_are_taken_for_ours(theirs: Any, ours: Any) -> None:
    for tuple_is_range in (True, False):
        parsed = [parse_dimension(spec, name="p", tuple_is_range=tuple_is_range) for spec in (theirs, ours)]
        assert parsed[0] == parsed[1]


def test_objects_of_scikit_optimize_are_checked_as_ours() -> None:
    negative = foreign("Real", low=-10.0, high=-1.0, prior="log-uniform", name=None)
    with pytest.raises(ValueError, match="low must be greater than 0 with prior='log-uniform', got -10"):
        BayesSearchCV(NeverFitted(), {"a": negative}).fit(X, Y)


def test_a_class_of_the_same_name_from_elsewhere_is_not_taken_for_ours() -> None:
    other = foreign("Real", low=1, high=2, prior="uniform", name=None)
    type(other).__module__ = "elsewhere"
    with pytest.raises(ValueError, match="has no cdf and ppf"):
        BayesSearchCV(NeverFitted(), {"a": other}).fit(X, Y)


# --- optimizer_kwargs and n_points ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kwargs",
    [
        {"base_estimator": "GP", "acq_func": "gp_hedge", "acq_optimizer": "auto", "initial_point_generator": "random"},
        {"base_estimator": "gp", "acq_func": "EI", "acq_optimizer": "lbfgs", "initial_point_generator": "sobol"},
        {"acq_optimizer": "sampling", "avoid_duplicates": True, "acq_func_kwargs": None, "acq_optimizer_kwargs": {}},
        {"model_queue_size": None, "space_constraint": None, "n_jobs": 1, "n_random_starts": None},
        {},
    ],
)
def test_what_describes_this_search_is_accepted_and_changes_nothing(kwargs: dict[str, Any]) -> None:
    settings_of_ours: list[dict[str, Any]] = [{}, {"optimizer_kwargs": kwargs, "n_points": 4}]
    tried = [
        BayesSearchCV(Flat(), BRANCHES[1], n_iter=8, cv=2, random_state=0, **more).fit(X, Y).cv_results_["params"]
        for more in settings_of_ours
    ]
    assert tried[0] == tried[1]


@pytest.mark.parametrize("key", ["n_initial_points", "n_random_starts"])
def test_the_number_of_initial_points_is_taken_over(key: str) -> None:
    def tried(**more: Any) -> Any:
        search = BayesSearchCV(Flat(), BRANCHES[1], n_iter=10, cv=2, random_state=0, **more)
        return search.fit(X, Y).cv_results_["params"]

    assert tried(optimizer_kwargs={key: 8}) == tried(n_initial_points=8) != tried(n_initial_points=2)
    assert tried(optimizer_kwargs={key: 8}, n_initial_points=8) == tried(n_initial_points=8)


def test_the_seed_is_taken_over_and_makes_the_search_reproducible() -> None:
    def tried(**more: Any) -> Any:
        search = BayesSearchCV(Flat(), BRANCHES[1], n_iter=8, cv=2, n_jobs=2, **more)
        with joblib.parallel_config(backend="threading"):
            return search.fit(X, Y).cv_results_["params"]

    assert tried(optimizer_kwargs={"random_state": 3}) == tried(random_state=3) != tried(random_state=4)
    assert tried(optimizer_kwargs={"random_state": 3}, random_state=3) == tried(random_state=3)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"base_estimator": "RF"}, "base_estimator='RF' has no equal here: the model is a Gaussian process"),
        ({"base_estimator": "ET"}, "model is a Gaussian process"),
        ({"base_estimator": "GBRT"}, "model is a Gaussian process"),
        ({"base_estimator": "DUMMY"}, "use RandomizedSearchCV"),
        ({"base_estimator": SVC()}, r"base_estimator=SVC\(\) has no equal here"),
        ({"acq_func": "LCB"}, "acq_func='LCB' has no equal here: the acquisition is log expected improvement"),
        ({"acq_func": "PI"}, "log expected improvement; leave it out"),
        ({"acq_func": "EIps"}, "HyperbandSearchCV"),
        ({"acq_optimizer": "cmaes"}, "maximised by gradient and exchange; leave it out"),
        ({"acq_func_kwargs": {"xi": 0.1}}, "expected improvement has no settings"),
        ({"acq_optimizer_kwargs": {"n_points": 99}}, "the maximisation has no settings"),
        ({"initial_point_generator": "lhs"}, "scrambled Sobol sequence; leave it out.*initial_params"),
        ({"avoid_duplicates": False}, "RepeatedKFold"),
        ({"model_queue_size": 3}, "no models are kept"),
        ({"space_constraint": len}, "write a list of dicts as search_spaces"),
        ({"n_jobs": 2}, "give n_jobs to BayesSearchCV"),
        ({"dimensions": [(0, 1)]}, "search_spaces are the dimensions"),
        (
            {"n_initial_point": 3},
            "unknown key 'n_initial_point'; it may have acq_func, .*n_initial_points, .*random_state",
        ),
        ({"n_initial_points": 0}, "n_initial_points must be a positive int, got 0"),
        ({"n_random_starts": 2.5}, "n_random_starts must be a positive int, got 2.5"),
        ({"n_initial_points": 3, "n_random_starts": 4}, "n_random_starts=4 contradicts n_initial_points=3"),
        ({"n_initial_points": 4}, "n_initial_points=4 contradicts n_initial_points=5"),
        ({"random_state": 1}, "random_state=1 contradicts random_state=0"),
    ],
)
def test_what_has_no_equal_is_refused_before_any_fit_and_the_remedy_is_named(
    kwargs: dict[str, Any], message: str
) -> None:
    more = {"n_initial_points": 5} if "contradicts n_initial_points=5" in message else {}
    with pytest.raises(ValueError, match=message):
        BayesSearchCV(NeverFitted(), BRANCHES[0], optimizer_kwargs=kwargs, random_state=0, **more).fit(X, Y)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"n_points": 0}, "n_points"),
        ({"n_points": 1.5}, "n_points"),
        ({"optimizer_kwargs": ["GP"]}, "optimizer_kwargs"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"The '{message}' parameter of BayesSearchCV must be"):
        BayesSearchCV(NeverFitted(), BRANCHES[0], **more).fit(X, Y)


# --- callbacks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_jobs", "seed"), [(1, 0), (1, None), (2, 0), (2, None)])
def test_callbacks_see_every_trial_as_it_is_completed(n_jobs: int, seed: int | None) -> None:
    calls: list[OptimizeResult] = []
    counts: list[int] = []
    search = BayesSearchCV(Flat(), BRANCHES[1], n_iter=9, cv=2, n_jobs=n_jobs, random_state=seed)
    with joblib.parallel_config(backend="threading"):
        search.fit(X, Y, callback=[calls.append, lambda result: counts.append(len(result.x_iters))])
    assert counts == list(range(1, 10))
    for result in calls:
        expected = [-score_of({"a": a, "b": b}) for a, b in result.x_iters]
        assert isinstance(result, OptimizeResult)
        assert result.func_vals == pytest.approx(expected, abs=1e-12)
        assert result.fun == result["fun"] == min(result.func_vals)
        assert result.x == result.x_iters[int(np.argmin(result.func_vals))]
        assert [column.name for column in result.space.columns] == ["b", "a"]
    last = [[params["a"], params["b"]] for params in search.cv_results_["params"]]
    assert sorted(calls[-1].x_iters) == sorted(last)
    if seed is not None:
        assert calls[-1].x_iters == last
    assert -calls[-1].fun == search.best_score_
    assert search.stop_reason_ == "budget"


@pytest.mark.parametrize("seed", [0, None])
def test_a_callback_that_returns_true_stops_the_search_at_once(seed: int | None) -> None:
    search = BayesSearchCV(Flat(), [(BRANCHES[0], 20), (BRANCHES[4], 20)], cv=2, random_state=seed)
    search.fit(X, Y, callback=lambda result: len(result.x_iters) == 4)
    assert len(search.cv_results_["params"]) == len(search.history_) == 4
    assert search.stop_reason_ == "callback"
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    assert search.predict(X) is not None if hasattr(search.best_estimator_, "predict") else True
    assert search.best_estimator_.get_params().items() >= search.best_params_.items()


@pytest.mark.parametrize("seed", [0, None])
def test_with_two_workers_what_is_under_way_is_completed_and_reported(seed: int | None) -> None:
    reported: list[int] = []

    def fourth(result: OptimizeResult) -> bool:
        reported.append(len(result.x_iters))
        return len(result.x_iters) == 4

    search = BayesSearchCV(Flat(), BRANCHES[1], n_iter=30, cv=2, n_jobs=2, random_state=seed)
    with joblib.parallel_config(backend="threading"):
        search.fit(X, Y, callback=fourth)
    n_trials = len(search.cv_results_["params"])
    assert reported == list(range(1, n_trials + 1))
    assert n_trials == 5 if seed is not None else 4 <= n_trials < 12
    assert search.stop_reason_ == "callback"


def test_a_seeded_search_stopped_by_a_callback_is_the_same_on_every_backend() -> None:
    tried = []
    for backend in ("threading", "loky", "threading"):
        search = BayesSearchCV(Flat(), BRANCHES[1], n_iter=30, cv=2, n_jobs=2, random_state=5)
        with joblib.parallel_config(backend=backend):
            search.fit(X, Y, callback=lambda result: result.fun < -1.05)
        tried.append((search.cv_results_["params"], search.stop_reason_))
    assert tried[0] == tried[1] == tried[2]


@pytest.mark.parametrize("answer", [np.True_, 1])
def test_any_true_value_stops_and_all_callbacks_are_called(answer: Any) -> None:
    late: list[int] = []
    search = BayesSearchCV(Flat(), BRANCHES[0], n_iter=9, cv=2, random_state=0)
    search.fit(X, Y, callback=[lambda result: answer, lambda result: late.append(1)])
    assert (len(search.history_), late, search.stop_reason_) == (1, [1], "callback")


@pytest.mark.parametrize("answer", [None, False, np.False_, 0])
def test_other_values_do_not_stop(answer: Any) -> None:
    search = BayesSearchCV(Flat(), BRANCHES[0], n_iter=3, cv=2, random_state=0)
    assert search.fit(X, Y, callback=lambda result: answer).stop_reason_ == "budget"


def test_a_finite_space_is_reported_to_its_end() -> None:
    calls: list[OptimizeResult] = []
    search = BayesSearchCV(Flat(), BRANCHES[2], n_iter=9, cv=2, n_jobs=2, random_state=0)
    with joblib.parallel_config(backend="threading"):
        search.fit(X, Y, callback=calls.append)
    assert (len(calls), search.stop_reason_) == (2, "exhausted")


@pytest.mark.filterwarnings("ignore:(?s).*fits failed", "ignore:One or more of the test scores are non-finite")
def test_a_failed_trial_is_infinitely_bad() -> None:
    calls: list[OptimizeResult] = []
    given = [{"b": "broken"}, {"b": "x"}]
    search = BayesSearchCV(Flat(a=9.0, b="?"), {"b": ["x", "y", "broken"]}, initial_params=given, n_iter=3, cv=2)
    search.fit(X, Y, callback=calls.append)
    assert [result.fun for result in calls] == [np.inf, *(min(result.func_vals) for result in calls[1:])]
    assert calls[0].x == ["broken"]
    assert calls[-1].func_vals[0] == np.inf
    assert np.isfinite(calls[-1].func_vals[1:]).all()


def test_the_score_of_the_refit_metric_is_reported() -> None:
    calls: list[OptimizeResult] = []
    search = BayesSearchCV(
        LogisticRegression(), {"C": (0.01, 10.0)}, n_iter=3, cv=2, scoring=["accuracy", "neg_log_loss"],
        refit="neg_log_loss", random_state=0,
    )  # fmt: skip
    search.fit(X, Y, callback=calls.append)
    assert calls[-1].func_vals == pytest.approx(-search.cv_results_["mean_test_neg_log_loss"])


def test_what_a_callback_raises_goes_to_the_caller() -> None:
    def fail(result: OptimizeResult) -> None:
        raise RuntimeError("no disk")

    with pytest.raises(RuntimeError, match="no disk"):
        BayesSearchCV(Flat(), BRANCHES[0], n_iter=3, cv=2).fit(X, Y, callback=fail)


def test_ctrl_c_in_a_callback_keeps_the_trials() -> None:
    calls: list[int] = []

    def interrupt(result: OptimizeResult) -> None:
        calls.append(len(result.x_iters))
        if calls[-1] == 3:
            raise KeyboardInterrupt

    search = BayesSearchCV(Flat(), BRANCHES[0], n_iter=9, cv=2, n_jobs=2, random_state=0)
    with joblib.parallel_config(backend="threading"), pytest.raises(KeyboardInterrupt):
        search.fit(X, Y, callback=interrupt)
    assert calls == [1, 2, 3]
    assert len(search.cv_results_["params"]) >= 3
    assert search.stop_reason_ == "interrupted"


@pytest.mark.parametrize("callback", [3, [3], [len, None], {"a": 1}])
def test_unusable_callbacks_are_refused_before_any_fit(callback: Any) -> None:
    with pytest.raises(ValueError, match="callback must be a callable or a list of callables, got"):
        BayesSearchCV(NeverFitted(), BRANCHES[0]).fit(X, Y, callback=callback)


def test_the_rule_is_not_asked_behind_an_exception() -> None:
    for aborted, expected in ((True, []), (False, [1])):
        asked: list[int] = []
        history = History()
        desk = Desk(
            FullScheduler(FixedSampler([{"a": 0.1}, {"a": 0.2}])),
            history,
            n_folds=1,
            objective=float,  # type: ignore[arg-type]
            entropy=0,
            delivery=Delivery.in_order(2),
            stop=lambda history, asked=asked: asked.append(len(history.outcomes)),
        )
        (_, second) = [desk.next_unit(2, 0)[0] for _ in range(2)]
        desk.collect(FoldScore(job=second, test_scores=0.5, fit_time=0.0, score_time=0.0))
        assert (asked, len(history.outcomes)) == ([], 0)  # it waits for the first
        desk.drain(aborted=aborted)
        assert (asked, len(history.outcomes)) == (expected, 1)


# --- attributes -----------------------------------------------------------------------------------------------------


def test_the_results_of_each_dict() -> None:
    search = BayesSearchCV(Flat(), [(BRANCHES[0], 4), (BRANCHES[1], 5)], cv=2, random_state=0).fit(X, Y)
    first, second = search.optimizer_results_
    params = search.cv_results_["params"]
    assert first.x_iters == [[each["a"]] for each in params if len(each) == 1]
    assert second.x_iters == [[each["a"], each["b"]] for each in params if len(each) == 2]
    assert -min(first.fun, second.fun) == search.best_score_
    assert len(first.func_vals) == 4


def test_a_dict_without_trials_has_an_empty_result() -> None:
    search = BayesSearchCV(Flat(), [BRANCHES[0], BRANCHES[4]], n_iter=1, cv=2, random_state=0).fit(X, Y)
    by_length = sorted(search.optimizer_results_, key=lambda result: len(result.x_iters))
    assert (by_length[0].x, by_length[0].fun, by_length[0].x_iters) == (None, np.inf, [])
    assert len(by_length[1].x_iters) == 1


def test_optimizers_are_not_there_and_the_error_says_what_is() -> None:
    search = BayesSearchCV(Flat(), BRANCHES[0], n_iter=2, cv=2).fit(X, Y)
    assert not hasattr(search, "optimizers_")
    with pytest.raises(AttributeError, match="optimizer_results_ has the trials"):
        _ = search.optimizers_


# --- scikit-learn's contract ----------------------------------------------------------------------------------------


def make() -> BayesSearchCV:
    return BayesSearchCV(
        Flat(), [(BRANCHES[0], 2), BRANCHES[4]], n_iter=2, cv=2, n_points=2, random_state=0,
        optimizer_kwargs={"base_estimator": "GP"},
    )  # fmt: skip


def test_the_new_arguments_survive_clone_set_params_and_pickle() -> None:
    search = make()
    for copy in (clone(search), pickle.loads(pickle.dumps(search))):
        assert copy.search_spaces == search.search_spaces
        assert copy.get_params(deep=False)["optimizer_kwargs"] == {"base_estimator": "GP"}
        assert copy.n_points == 2
    search.set_params(n_points=None, optimizer_kwargs={"base_estimator": "RF"})
    with pytest.raises(ValueError, match="has no equal here"):
        search.fit(X, Y)
    fitted = make().fit(X, Y, callback=lambda result: None)  # a lambda must not be kept
    again = pickle.loads(pickle.dumps(fitted))
    assert again.optimizer_results_[0].x_iters == fitted.optimizer_results_[0].x_iters
    assert again.best_params_ == fitted.best_params_
    assert "<lambda>" not in repr(vars(fitted))


def test_a_search_with_quotas_nests() -> None:
    assert cross_val_score(make(), X, Y, cv=2).shape == (2,)


def test_positions_and_order_of_arguments() -> None:
    names = list(inspect.signature(BayesSearchCV).parameters)
    start = names.index("n_initial_points")
    assert names[start : start + 3] == ["n_initial_points", "n_points", "optimizer_kwargs"]
    assert list(inspect.signature(BayesSearchCV.fit).parameters) == ["self", "X", "y", "groups", "callback", "params"]


def collect(seen: list[Any]) -> Callable[[OptimizeResult], None]:
    return lambda result: seen.append(len(result.x_iters))


@pytest.mark.parametrize("routing", [False, True])
def test_groups_reach_the_splitter_and_the_callback_reaches_nobody_else(routing: bool) -> None:
    weights = np.linspace(0.5, 1.5, len(Y))
    with sklearn.config_context(enable_metadata_routing=routing):
        estimator = LogisticRegression()
        if routing:
            estimator.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        search = BayesSearchCV(
            estimator, {"C": (0.01, 10.0, "log-uniform")}, n_iter=3, cv=GroupKFold(5), random_state=0
        )
        seen: list[Any] = []
        search.fit(X, Y, groups=GROUPS, sample_weight=weights, callback=collect(seen))
        assert (search.n_splits_, seen) == (5, [1, 2, 3])
        plain = clone(search).fit(X, Y, groups=GROUPS, sample_weight=weights)
        assert plain.cv_results_["mean_test_score"].tolist() == search.cv_results_["mean_test_score"].tolist()
        assert not hasattr(search, "set_fit_request")
        ungrouped = BayesSearchCV(LogisticRegression(), {"C": (0.01, 10.0)}, n_iter=2, cv=2, random_state=0)
        assert ungrouped.fit(X, Y, groups=None, callback=None).n_splits_ == 2


def test_a_callable_refit_is_allowed() -> None:
    search = BayesSearchCV(Flat(), BRANCHES[0], n_iter=3, cv=2, refit=lambda results: 1, random_state=0).fit(X, Y)
    assert search.best_index_ == 1


@pytest.mark.parametrize("seed", [-1, 3.5, "x", [1, 2], True, 2**40])
def test_a_random_state_that_is_none_is_refused_by_name(seed: Any) -> None:
    search = BayesSearchCV(SVC(), {"C": (0.1, 10.0)}, n_iter=3, optimizer_kwargs={"random_state": seed})
    with pytest.raises(ValueError, match="optimizer_kwargs: random_state must be"):
        search.fit(*load_iris(return_X_y=True))


def test_scalars_of_numpy_are_plain_values() -> None:
    kwargs = {"avoid_duplicates": np.True_, "acq_func": np.str_("EI")}
    search = BayesSearchCV(SVC(), {"C": (0.1, 10.0)}, n_iter=3, cv=2, optimizer_kwargs=kwargs)
    assert len(search.fit(*load_iris(return_X_y=True)).cv_results_["params"]) == 3
