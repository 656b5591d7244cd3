"""BayesSampler: initial points, purity, novelty, failures, degenerate histories, and that it learns."""

from __future__ import annotations

import copy
import json
import math
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, expon, geom, loguniform, norm

from sksearch.gp import acquisition, maximize, regression, transform, warping
from sksearch.samplers.bayes import BayesSampler, informative, last_refit
from sksearch.samplers.design import complete, design_point, known_values, n_initial
from sksearch.samplers.random import RandomSampler
from sksearch.space import Integer, Real, Space, dimensions
from sksearch.trials import Evaluation, History, Outcome, Params, Trial

BOX = {"x": Real(0.0, 1.0), "y": Real(0.0, 1.0)}
MIXED = {"C": loguniform(1e-3, 1e3), "degree": Integer(1, 9), "kernel": ["rbf", "poly", None], "shift": Real(-1, 1)}
BRANCHES = [{"clf": ["svc"], "C": Real(0.1, 10, "log-uniform")}, {"clf": ["knn"], "k": Integer(1, 20)}]
FINITE = {"a": [1, 2, 3, 4], "b": ["p", "q", "r"]}


def space_of(spec: Any) -> Space:
    return Space.parse(spec, argument="search_spaces")


def rng_of(seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))


def ask(sampler: BayesSampler, history: History, seed: int = 0) -> Params | None:
    return sampler.suggest(history, rng_of(seed, len(history.trials)))


def record(history: History, params: Params, score: float | None = None, n_resources: int | None = None) -> Evaluation:
    evaluation = Evaluation(Trial(len(history.trials), params), n_resources)
    history.asked(evaluation)
    if score is not None:
        history.told(Outcome(evaluation=evaluation, folds=(), score=score))
    return evaluation


def search(sampler: BayesSampler, score: Callable[[Params], float], n: int, seed: int = 0) -> History:
    history = History()
    for _ in range(n):
        params = ask(sampler, history, seed)
        if params is None:
            break
        record(history, params, score(params))
    return history


def bowl(params: Params) -> float:
    return -((params["x"] - 0.7) ** 2) - (params["y"] - 0.2) ** 2


def mixed_score(params: Params) -> float:
    fit = {"rbf": 0.0, "poly": -0.5, None: -1.0}[params["kernel"]]
    return fit - (math.log10(params["C"]) - 1) ** 2 - 0.05 * (params["degree"] - 4) ** 2 - params["shift"] ** 2


# --- initial points -------------------------------------------------------------------------------------------------


def test_initial_params_come_first_in_order_and_only_once():
    given_params = [{"x": 0.1, "y": 0.2}, {"x": 0.9, "y": 0.9}, {"x": 0.1, "y": 0.2}]
    history = search(BayesSampler(space_of(BOX), 20, initial_params=given_params), bowl, 4)
    assert [trial.params for trial in history.trials[:2]] == given_params[:2]
    assert history.trials[2].params not in given_params


def test_partial_initial_params_are_completed_within_their_branch():
    sampler = BayesSampler(space_of(BRANCHES), 20, initial_params=[{"k": 7}, {"C": 2.0}, {}])
    history = search(sampler, lambda _: 0.0, 3)
    assert history.trials[0].params == {"clf": "knn", "k": 7}
    assert history.trials[1].params == {"clf": "svc", "C": 2.0}
    assert sampler.space.contains(history.trials[2].params)


@pytest.mark.parametrize(
    ("params", "message"),
    [({"z": 1}, "must name parameters of one search space"), ({"x": 2.0, "y": 0.5}, r"must lie in .*'x': 2.0")],
)
def test_initial_params_outside_the_space_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        BayesSampler(space_of(BOX), 20, initial_params=[params])


def test_initial_params_from_two_branches_are_refused():
    with pytest.raises(ValueError, match="one search space"):
        BayesSampler(space_of(BRANCHES), 20, initial_params=[{"C": 1.0, "k": 3}])


def test_no_initial_point_is_refused():
    with pytest.raises(ValueError, match="n_initial_points must be at least 1"):
        BayesSampler(space_of(BOX), 20, n_initial_points=0)


def test_a_distribution_without_quantiles_is_refused_by_name():
    class OnlyRvs:
        def rvs(self, random_state=None):
            return 1.0

    with pytest.raises(ValueError, match="'x'"):
        BayesSampler(space_of({"x": OnlyRvs()}), 20)


def test_known_values_take_what_lies_in_the_space_from_the_fittest_branch():
    space = space_of(BRANCHES)
    assert known_values(space, {"clf": "other", "C": 1.0, "k": 500}) == {"C": 1.0}
    assert known_values(space, {"clf": "knn", "C": 1.0, "k": 5}) == {"clf": "knn", "k": 5}
    assert known_values(space, {}) == {}
    one_more = space_of([{"C": Real(0.1, 10)}, {"C": Real(0.1, 10), "scale": ["off"], "k": Integer(1, 20)}])
    assert known_values(one_more, {"C": 1.0, "k": 5, "scale": "on"}) == {"C": 1.0}  # the estimator as it is


@pytest.mark.parametrize("sampler", [BayesSampler, RandomSampler])
@pytest.mark.parametrize("dimension", [[1, 2, 3], Integer(1, 3)], ids=["list", "range"])
def test_values_have_the_types_of_the_space(sampler, dimension):
    """1.0 is all features of a forest, and 1 is one of them."""
    space = space_of({"k": dimension})
    given = [known_values(space, {"k": 1.0}), {"k": np.int64(2)}, {"k": 3.0}]
    arguments = {"n_trials": 3} if sampler is BayesSampler else {}
    history = search(sampler(space, initial_params=given, **arguments), lambda _: 0.0, 5)
    values = [trial.params["k"] for trial in history.trials]
    assert values == [1, 2, 3]
    assert {type(value) for value in values} == {int}


@pytest.mark.parametrize("sampler", [BayesSampler, RandomSampler])
@pytest.mark.parametrize(
    ("dimension", "given"),
    [
        (expon(scale=100), [1e5, 2000.0, 5000.0, 1e4]),
        (norm(), [6.0, 9.0, -7.0]),
        (geom(1e-3), [20_000, 30_000.0]),
        (Real(0, 1e9), [1e-4, 1e-5]),
        (Integer(0, 10**14), [5, 6]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_all_that_is_given_is_tried_even_where_points_are_the_same(sampler, dimension, given):
    space = space_of({"x": dimension})
    arguments = {"n_trials": 20} if sampler is BayesSampler else {}
    history = search(
        sampler(space, initial_params=[{"x": x} for x in [*given, given[0]]], **arguments), lambda _: 0.0, 9
    )
    assert [trial.params["x"] for trial in history.trials][: len(given)] == given
    assert [trial.params["x"] for trial in history.trials].count(given[0]) == 1


SHARES = {"k": Real(0.1, 1.0)}


@pytest.mark.parametrize("sampler", [BayesSampler, RandomSampler])
@pytest.mark.parametrize(
    "branches",
    [
        [{"k": Integer(1, 5), "depth": [2, 4, 8]}, SHARES],
        [{"k": [1, 2, 3], "depth": [2, 4, 8]}, {"k": [0.5, 1.0]}],
        [{"k": [1, 2, 3]}, SHARES],
        [SHARES, {"k": [1, 2, 3]}],
    ],
)
def test_of_several_branches_one_has_a_value_in_its_own_type(sampler, branches):
    space = space_of(branches)
    assert repr(known_values(space, {"k": 1.0, "depth": 3})) == "{'k': 1.0}"
    arguments = {"n_trials": 20} if sampler is BayesSampler else {}
    for value in (1.0, 1):
        history = search(sampler(space, initial_params=[{"k": value}], **arguments), lambda _: 0.0, 1)
        assert repr(history.trials[0].params["k"]) == repr(value)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("value", [1, 1.0])
@pytest.mark.parametrize("sampler", [BayesSampler, RandomSampler])
def test_what_is_completed_is_of_one_branch_with_its_types(sampler, value, seed):
    """All features with a depth for one to three of them are in no branch."""
    space = space_of([{"k": [1, 2, 3], "depth": [1, 2]}, {"k": Real(0.1, 1.0), "depth": [5, 6]}])
    arguments = {"n_trials": 20} if sampler is BayesSampler else {}
    history = search(sampler(space, initial_params=[{"k": value}] * 2, **arguments), lambda _: 0.0, 2, seed)
    for trial in history.trials:
        assert repr(trial.params["k"]) == repr(value)
        assert trial.params["depth"] in ([1, 2] if isinstance(value, int) else [5, 6])


@pytest.mark.parametrize("sampler", [BayesSampler, RandomSampler])
def test_what_is_a_part_of_one_branch_is_not_the_whole_of_another_by_its_value(sampler):
    space = space_of([{"k": [1, 2, 3], "depth": [1], "more": [0]}, {"k": Real(0.1, 1.0), "depth": [1]}])
    arguments = {"n_trials": 20} if sampler is BayesSampler else {}
    history = search(sampler(space, initial_params=[{"k": 1, "depth": 1}], **arguments), lambda _: 0.0, 1)
    assert repr(history.trials[0].params) == "{'k': 1, 'depth': 1, 'more': 0}"


@pytest.mark.parametrize("sampler", [BayesSampler, RandomSampler])
def test_one_and_all_are_two_points_of_a_finite_space(sampler):
    space = space_of([{"k": [1, 2, 3]}, {"k": [0.5, 1.0]}])
    arguments = {"n_trials": 20} if sampler is BayesSampler else {}
    history = search(sampler(space, **arguments), lambda _: 0.0, 20)
    assert sorted(repr(trial.params["k"]) for trial in history.trials) == ["0.5", "1", "1.0", "2", "3"]


@pytest.mark.parametrize("seed", range(5))
def test_what_is_completed_is_not_tried_twice_where_one_branch_is_infinite(seed):
    space = space_of([{"kernel": ["linear"], "C": [0.1, 1.0, 10.0]}, {"kernel": ["rbf"], "gamma": loguniform(1e-3, 1)}])
    history = search(RandomSampler(space, [{"kernel": "linear"}] * 3), lambda _: 0.0, 3, seed)
    assert sorted(trial.params["C"] for trial in history.trials) == [0.1, 1.0, 10.0]


def test_parameters_come_in_the_order_of_the_space():
    space = space_of({"kernel": ["rbf", "poly"], "C": Real(0.1, 10)})
    history = search(RandomSampler(space, [{"C": 1.0, "kernel": "poly"}]), lambda _: 0.0, 2)
    assert [list(trial.params) for trial in history.trials] == [["kernel", "C"]] * 2


@pytest.mark.parametrize("given", [[{"b": 1}], [{"a": 3.5}], [{"a": 3.5, "b": 2}], []])
def test_random_draws_need_no_quantiles_whatever_is_given(given):
    class OnlyRvs:
        def rvs(self, random_state):
            return random_state.uniform()

    two = space_of([{"a": OnlyRvs(), "b": [1, 2]}, {"b": [1, 2], "c": [1, 2], "d": [1, 2]}])
    assert known_values(two, {"a": 1, "b": 1, "c": 2, "d": 7}) == {"b": 1, "c": 2}
    space = space_of({"a": OnlyRvs(), "b": [1, 2, 3]})
    assert known_values(space, {"a": 0.5, "b": 2}) == {"b": 2}  # who knows whether it draws 0.5
    history = search(RandomSampler(space, given), lambda _: 0.0, 5)
    for params, trial in zip(given, history.trials, strict=False):
        assert params.items() <= trial.params.items()
    assert len(history.trials) == 5


@pytest.mark.parametrize("spec", [{"x": loguniform(1e-3, 1e3)}, {"x": list(range(300))}], ids=["infinite", "finite"])
def test_random_draws_do_not_encode_the_same_trials_again(spec, monkeypatch):
    calls = []
    encode = Space.encode
    monkeypatch.setattr(Space, "encode", lambda space, params: calls.append(1) or encode(space, params))
    search(RandomSampler(space_of(spec), [{"x": 1}]), lambda _: 0.0, 100)
    assert len(calls) < 400


@pytest.mark.parametrize(
    ("d", "workers", "budget", "expected"),
    [(4, 1, 50, 7), (4, 1, 9, 5), (4, 1, 1, 1), (12, 1, 20, 10), (3, 64, 1000, 10), (3, 8, 1000, 8), (6, 1, None, 9)],
)
def test_number_of_initial_points(d, workers, budget, expected):
    assert n_initial(d, workers, budget) == expected


def test_initial_design_is_one_sobol_sequence_whatever_is_told():
    space = space_of({f"x{i}": Real(0, 1) for i in range(3)})
    asked_only, told = History(), History()
    for _ in range(8):
        record(asked_only, ask(BayesSampler(space, None, n_initial_points=8), asked_only))
        record(told, ask(BayesSampler(space, None, n_initial_points=8), told), 0.5)
    points = np.array([list(trial.params.values()) for trial in told.trials])
    assert [t.params for t in asked_only.trials] == [t.params for t in told.trials]
    for column in points.T:  # the first 8 points of a Sobol sequence: one in each eighth
        assert sorted(np.floor(8 * column)) == list(range(8))


def test_initial_design_depends_on_the_seed():
    space = space_of(BOX)
    assert ask(BayesSampler(space, 20), History(), 0) != ask(BayesSampler(space, 20), History(), 1)


def test_initial_design_visits_both_branches():
    history = search(BayesSampler(space_of(BRANCHES), 40, n_initial_points=4), lambda _: 0.0, 4)
    assert sorted(trial.params["clf"] for trial in history.trials) == ["knn", "knn", "svc", "svc"]


def test_a_generator_of_unknown_seed_still_gives_new_points():
    class Anonymous:
        """Draws, but does not tell what it was seeded with."""

        def __init__(self) -> None:
            self.source = np.random.default_rng(0)
            self.bit_generator = type("Bits", (), {"seed_seq": None})

        def integers(self, *args, **kwargs):
            return self.source.integers(*args, **kwargs)

    space, rng = space_of(BOX), Anonymous()
    sampler = BayesSampler(space, 20)
    points = [design_point(sampler._domain, np.empty((0, 2)), rng) for _ in range(2)]
    assert not np.array_equal(points[0], points[1])


# --- a function of the history --------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [BOX, MIXED, BRANCHES, FINITE])
def test_a_fresh_sampler_replays_the_search(spec):
    def score(params):
        return -sum(float(value) for value in params.values() if isinstance(value, (int, float)))

    history = search(BayesSampler(space_of(spec), 60), score, 12)
    replayed = History()
    for trial, outcome in zip(history.trials, history.outcomes, strict=True):
        assert ask(BayesSampler(space_of(spec), 60), replayed) == trial.params
        record(replayed, trial.params, outcome.score)


def test_a_fresh_sampler_agrees_where_outcomes_changed_nothing():
    """Trials that are evaluated again with more resource, and score what they had scored."""
    space, rng = space_of(BOX), np.random.default_rng(0)
    sampler, history = BayesSampler(space, 200), History()
    for number in range(16):
        params = space.sample(rng)
        for amount in (1, 3):
            evaluation = Evaluation(Trial(number, params), n_resources=amount, rung=amount // 3)
            history.asked(evaluation)
            history.told(Outcome(evaluation=evaluation, folds=(), score=bowl(params)))
            assert ask(sampler, history) == ask(BayesSampler(space, 200), history)


def test_asking_twice_or_something_else_between_changes_nothing():
    sampler = BayesSampler(space_of(BOX), 60)
    history = search(sampler, bowl, 15)
    first = ask(sampler, history)
    other = search(BayesSampler(space_of(BOX), 60), lambda p: p["x"], 20, seed=5)
    ask(sampler, other)
    sampler.posterior(other)
    assert ask(sampler, history) == first
    assert ask(pickle.loads(pickle.dumps(sampler)), history) == first
    assert ask(copy.deepcopy(sampler), history) == first


def test_a_suggestion_after_many_trials_needs_no_earlier_call():
    space = space_of(BOX)
    rng = np.random.default_rng(0)
    history = History()
    for _ in range(90):
        params = space.sample(rng)
        record(history, params, bowl(params))
    warm = BayesSampler(space, 200)
    warm.suggest(search(BayesSampler(space, 200), bowl, 30), rng_of(0, 30))
    assert ask(warm, history) == ask(BayesSampler(space, 200), history)


def test_another_process_suggests_the_same():
    program = """
import json, numpy as np
from sksearch.samplers.bayes import BayesSampler
from sksearch.space import Integer, Real, Space, dimensions
from sksearch.trials import Evaluation, History, Outcome, Trial
space = Space.parse({"x": Real(0, 1), "k": Integer(1, 9), "c": ["a", "b", "c"]}, argument="search_spaces")
history, sampler, log = History(), BayesSampler(space, 40), []
for number in range(14):
    rng = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(number,)))
    params = sampler.suggest(history, rng)
    log.append(params)
    evaluation = Evaluation(Trial(number, params))
    history.asked(evaluation)
    if number % 3:
        score = -(params["x"] - 0.3) ** 2 - 0.1 * params["k"] - (params["c"] == "a")
        history.told(Outcome(evaluation=evaluation, folds=(), score=score))
print(json.dumps(log))
"""
    outputs = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1
    assert len(json.loads(outputs.pop())) == 14


class _InOnePiece:
    """NumPy, but what it rounds by where the result lies in memory must not be asked for.

    NumPy 1.25 takes other instructions for these functions where the array has gaps and the result begins behind it,
    within one gap: the same seed gave other suggestions, now and then.
    """

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        return self.checked(function) if name in {"exp", "expm1", "log", "log1p"} else function

    def checked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(array: Any, *args: Any, **kwargs: Any) -> Any:
            assert np.asarray(array).flags.forc, f"np.{function.__name__} of an array with gaps"
            return function(array, *args, **kwargs)

        return call


@pytest.mark.parametrize("spec", [BOX, MIXED, BRANCHES])
def test_no_suggestion_depends_on_where_arrays_lie(spec, monkeypatch):
    for module in (acquisition, dimensions, maximize, regression, transform, warping):
        monkeypatch.setattr(module, "np", _InOnePiece())
    history, sampler = History(), BayesSampler(space_of(spec), 30)
    for number in range(30):
        params = ask(sampler, history)
        fails = number % 4 == 0 and spec is not BOX
        record(history, params, math.nan if fails else float(np.cos(number)))


def test_last_refit_grows_and_never_lags_more_than_a_tenth():
    refits = [last_refit(n) for n in range(1, 1000)]
    assert refits == sorted(refits)
    assert all(refit <= n <= refit + max(1, refit // 10) for n, refit in enumerate(refits, start=1))
    assert refits[:19] == list(range(1, 20))


# --- novelty --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("spec", [FINITE, [{"m": ["a"], "k": [1, 2, 3]}, {"m": ["b"]}], {"only": ["value"]}])
def test_a_finite_space_is_asked_completely_once_then_exhausted(spec, told):
    space = space_of(spec)
    sampler, history = BayesSampler(space, 100), History()
    while (params := ask(sampler, history)) is not None:
        record(history, params, float(len(history.trials) % 5) if told else None)
    seen = [repr(trial.params) for trial in history.trials]
    assert len(set(seen)) == len(seen) == space.size


def test_levels_of_tiny_probability_are_asked_for_in_the_end():
    space = space_of({"n": binom(6, 0.01), "m": binom(2, 0.01)})
    history = search(BayesSampler(space, None), lambda _: math.nan, 30)
    assert len({tuple(trial.params.values()) for trial in history.trials}) == space.size == 21


def test_a_large_finite_space_never_repeats():
    space = space_of({"a": Integer(1, 100), "b": Integer(1, 60), "c": ["p", "q"]})
    history = search(BayesSampler(space, 60), lambda p: -abs(p["a"] - 50) - abs(p["b"] - 7), 60)
    seen = {tuple(trial.params.values()) for trial in history.trials}
    assert len(seen) == 60


def test_initial_params_are_not_repeated_by_their_completion():
    sampler = BayesSampler(space_of({"a": [1, 2]}), None, initial_params=[{"a": 1}, {}, {"a": 2}])
    history = search(sampler, lambda _: 0.0, 5)
    assert sorted(trial.params["a"] for trial in history.trials) == [1, 2]


def test_completing_gives_up_when_every_completion_is_known():
    space = space_of({"a": [1, 2]})
    known = frozenset(point.tobytes() for point in np.round(space.enumerate(), 12) + 0.0)
    assert complete(space, {}, [], np.random.default_rng(0), seen=known) is None
    assert complete(space, {"a": 1}, [{"a": 1}, {"a": 2}], np.random.default_rng(0)) is None


def test_pending_trials_are_avoided():
    sampler = BayesSampler(space_of(BOX), 60)
    history = search(sampler, bowl, 12)
    points = []
    for _ in range(6):
        params = ask(sampler, history)
        points.append(list(params.values()))
        record(history, params)
    distances = [math.dist(a, b) for i, a in enumerate(points) for b in points[:i]]
    assert min(distances) > 0.01


def test_more_pending_trials_than_are_imagined_are_believed():
    sampler = BayesSampler(space_of(BOX), 60, n_workers=30)
    history = search(sampler, bowl, 12)
    for _ in range(20):
        record(history, ask(sampler, history))
    assert len({tuple(trial.params.values()) for trial in history.trials}) == 32


# --- what is learned from -------------------------------------------------------------------------------------------


def test_the_last_outcome_of_a_trial_counts_and_a_promoted_trial_is_not_pending():
    space = space_of(BOX)
    history, plain = History(), History()
    for number, params in enumerate(trial.params for trial in search(BayesSampler(space, 60), bowl, 12).trials):
        evaluation = record(history, params, 100.0 * number, n_resources=1)
        promoted = Evaluation(evaluation.trial, 3)
        history.asked(promoted)
        history.told(Outcome(evaluation=promoted, folds=(), score=bowl(params)))
        record(plain, params, bowl(params))
    again = Evaluation(history.trials[0], 9)
    history.asked(again)
    ours, expected = (BayesSampler(space, 60).posterior(h) for h in (history, plain))
    # hyperparameters are refitted by the number of outcomes, of which there are twice as many
    assert ours[0] == pytest.approx(expected[0], abs=0.05)
    assert abs(ours[0][0] - bowl(history.trials[0].params)) < 0.05


def test_failed_trials_are_avoided_and_do_not_blow_up_the_scale():
    def score(params):
        return math.nan if params["x"] > 0.5 else params["x"] + 0.1 * params["y"]

    history = search(BayesSampler(space_of(BOX), 60), score, 40)
    late = [trial.params["x"] for trial in history.trials[20:]]
    assert np.mean(np.array(late) > 0.5) < 0.4
    assert max(o.score for o in history.outcomes if o.status == "ok") > 0.55


@pytest.mark.parametrize(
    "score",
    [
        lambda _: math.nan,
        lambda _: math.inf,
        lambda _: 0.5,
        lambda _: 1e300,
        lambda p: 1e-300 * p["shift"],
        lambda p: 1e308 * p["shift"],
        lambda p: -1e30 if p["degree"] % 2 else p["shift"],
        lambda p: 1e30 if p["degree"] == 3 else p["shift"],
        lambda p: math.nan if p["degree"] > 1 else 1.0,
    ],
    ids=["all failed", "all infinite", "constant", "huge", "tiny", "overflow", "outliers", "good outlier", "few ok"],
)
def test_degenerate_scores_neither_raise_nor_warn(score):
    sampler = BayesSampler(space_of(MIXED), 40, n_initial_points=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = search(sampler, score, 12)
        mean, sd = sampler.posterior(history)
    assert all(sampler.space.contains(trial.params) for trial in history.trials)
    assert len(mean) == len(sd) == 12


def test_one_point_suffices_for_the_model():
    sampler = BayesSampler(space_of(BOX), 40, n_initial_points=1)
    history = search(sampler, bowl, 1)
    params = ask(sampler, history)
    assert math.dist(params.values(), history.trials[0].params.values()) > 0.1


def test_duplicates_in_the_history_are_learned_from():
    sampler = BayesSampler(space_of(BOX), 40, n_initial_points=3)
    history = History()
    for score in (0.1, 0.3, 0.2, 0.2, 0.2):
        record(history, {"x": 0.5, "y": 0.5}, score)
    assert ask(sampler, history) != {"x": 0.5, "y": 0.5}
    mean, sd = sampler.posterior(history)
    assert 0.1 < mean[0] < 0.3
    assert np.ptp(mean) == 0.0
    assert (sd > 0).all()


def test_posterior_is_on_the_scale_of_the_scores():
    sampler = BayesSampler(space_of(BOX), 60)
    history = search(sampler, lambda p: 1000 + 50 * bowl(p), 30)
    pending = record(history, {"x": 0.7, "y": 0.2})
    mean, sd = sampler.posterior(history)
    scores = np.array([outcome.score for outcome in history.outcomes])
    good = scores > np.median(scores)
    assert mean[:30][good] == pytest.approx(scores[good], abs=1.0)
    assert mean[pending.trial.number] == pytest.approx(1000, abs=1.0)
    assert ((sd >= 0) & (sd < 20)).all()


def test_posterior_without_any_score_is_nan():
    history = History()
    record(history, {"x": 0.5, "y": 0.5})
    mean, sd = BayesSampler(space_of(BOX), 60).posterior(history)
    assert np.isnan(mean).all()
    assert np.isnan(sd).all()


@pytest.mark.parametrize("others", ["failed", "pruned"])
def test_trials_that_all_fail_after_their_promotion_leave_the_design(others):
    """At the last refit some were complete; since then each of them has failed with more resource."""
    history = History()
    complete = [record(history, {"x": 0.1 * n, "y": 0.5}, bowl({"x": 0.1 * n, "y": 0.5}), 3) for n in range(3)]
    for n in range(19):
        evaluation = record(history, {"x": 0.05 * n, "y": 0.2}, None, 3)
        folds = (-1.0 - n, math.nan) if others == "pruned" else (math.nan, math.nan)
        history.told(Outcome(evaluation=evaluation, folds=(), score=folds[0], fold_scores=folds))
    sampler = BayesSampler(space_of(BOX), 60)
    assert np.isfinite(sampler.posterior(history)[0]).all()
    for evaluation in complete:
        assert ask(sampler, history) is not None
        promoted = Evaluation(evaluation.trial, 9)
        history.asked(promoted)
        history.told(Outcome(evaluation=promoted, folds=(), score=math.nan))
    assert last_refit(len(history.outcomes)) < len(history.outcomes)  # it still knows a complete one
    assert np.isnan(sampler.posterior(history)[0]).all()
    assert ask(sampler, history) == ask(BayesSampler(space_of(BOX), 60), history) != {}


@pytest.mark.parametrize("power", [-60, 3, 100])
def test_scores_in_other_units_give_the_same_suggestions(power):
    expected = search(BayesSampler(space_of(MIXED), 60), mixed_score, 18)
    scaled = search(BayesSampler(space_of(MIXED), 60), lambda p: math.ldexp(mixed_score(p), power), 18)
    assert [trial.params for trial in scaled.trials] == [trial.params for trial in expected.trials]


def test_shifted_scores_give_nearly_the_same_suggestion():
    space = space_of(BOX)
    history, shifted = History(), History()
    for trial in search(BayesSampler(space, 60), bowl, 15).trials:
        record(history, trial.params, bowl(trial.params))
        record(shifted, trial.params, 3 * bowl(trial.params) + 11)
    one, other = (ask(BayesSampler(space, 60), h) for h in (history, shifted))
    assert list(one.values()) == pytest.approx(list(other.values()), abs=1e-2)


def test_other_names_of_the_parameters_change_nothing():
    renamed = {name: f"step__{name[::-1]}" for name in MIXED}
    history, other = History(), History()
    one, two = (
        BayesSampler(space_of(spec), 60) for spec in (MIXED, {renamed[name]: value for name, value in MIXED.items()})
    )
    for _ in range(16):
        params, others = ask(one, history), ask(two, other)
        assert others == {renamed[name]: value for name, value in params.items()}
        record(history, params, mixed_score(params))
        record(other, others, mixed_score(params))


@pytest.mark.parametrize("n", [12, 60])
def test_the_order_of_the_trials_does_not_matter_to_the_model(n):
    space, rng = space_of(MIXED), np.random.default_rng(0)
    trials = [space.sample(rng) for _ in range(n)]
    history, permuted = History(), History()
    order = rng.permutation(n)
    for params in trials:
        record(history, params, mixed_score(params))
    for position in order:
        record(permuted, trials[position], mixed_score(trials[position]))
    # beyond 19 trials the hyperparameters are those of all but the newest tenth: other ones in another order
    for one, other in zip(*(BayesSampler(space, 60).posterior(h) for h in (history, permuted)), strict=True):
        assert other == pytest.approx(one[order], abs=1e-3 if n < 20 else 0.2)


# --- folds ----------------------------------------------------------------------------------------------------------


def record_folds(history: History, params: Params, folds: tuple[float, ...]) -> None:
    evaluation = record(history, params)
    score = float(np.nanmean(folds))
    history.told(Outcome(evaluation=evaluation, folds=(), score=score, fold_scores=folds))


def noisy_history(last: tuple[float, ...]) -> History:
    history, rng = History(), np.random.default_rng(1)
    for x in np.linspace(0, 1, 12):
        params = {"x": float(x), "y": 0.5}
        record_folds(history, params, tuple(bowl(params) + rng.normal(0, 0.1, 5)))
    record_folds(history, {"x": 0.7, "y": 0.45}, last)
    return history


def test_a_pruned_trial_tells_less_than_a_complete_one():
    nan = math.nan
    sampler = BayesSampler(space_of(BOX), 50)
    complete_sd = sampler.posterior(noisy_history((-0.1, -0.1, -0.1, -0.1, -0.1)))[1][-1]
    pruned_sd = sampler.posterior(noisy_history((-0.1, nan, nan, nan, nan)))[1][-1]
    nearly = sampler.posterior(noisy_history((-0.1, -0.1, -0.1, -0.1, nan)))[1][-1]
    assert complete_sd < nearly < pruned_sd


def history_of_folds(interaction: float, n_folds: int = 5) -> History:
    """Scores of which the means are the same whatever the interaction of trials and folds is."""
    history, rng = History(), np.random.default_rng(2)
    for x in np.linspace(0, 1, 14):
        luck = rng.normal(size=n_folds)
        record_folds(
            history, {"x": float(x), "y": 0.5}, tuple(bowl({"x": x, "y": 0.5}) + interaction * (luck - luck.mean()))
        )
    return history


def test_folds_that_disagree_make_the_model_expect_noise():
    """Trials that the folds order alike are known better, though all means are the same."""
    quiet, loud = (BayesSampler(space_of(BOX), 50).posterior(history_of_folds(sd))[1] for sd in (1e-6, 0.5))
    assert (loud > 3 * quiet).all()


def test_what_all_trials_have_in_common_on_a_fold_is_no_noise():
    """A fold that is hard for every trial says nothing of the luck of one."""
    plain, shifted = history_of_folds(0.01), History()
    hard = np.array([0.0, -3.0, 1.0, 0.5, 1.5])
    for trial, outcome in zip(plain.trials, plain.outcomes, strict=True):
        record_folds(shifted, trial.params, tuple(np.array(outcome.fold_scores) + hard))
    sd = [BayesSampler(space_of(BOX), 50).posterior(history)[1] for history in (plain, shifted)]
    assert sd[0] == pytest.approx(sd[1], rel=1e-6)


def test_a_single_fold_leaves_the_noise_to_the_likelihood():
    once, alone = history_of_folds(0.0, n_folds=1), History()
    for trial, outcome in zip(once.trials, once.outcomes, strict=True):
        record(alone, trial.params, outcome.score)
    sd = [BayesSampler(space_of(BOX), 50).posterior(history)[1] for history in (once, alone)]
    assert sd[0].tolist() == sd[1].tolist()


def test_only_pruned_trials_are_no_data_yet():
    history = History()
    record_folds(history, {"x": 0.5, "y": 0.5}, (0.5, math.nan))
    sampler = BayesSampler(space_of(BOX), 50, n_initial_points=1)
    assert ask(sampler, history) is not None
    assert np.isnan(sampler.posterior(history)[0]).all()


def test_informative_keeps_the_best_and_the_newest():
    z = np.random.default_rng(0).normal(size=5000)
    kept = informative(z, 300)
    assert len(kept) <= 300
    assert set(np.argsort(-z)[:100]) <= set(kept)
    assert set(range(4900, 5000)) <= set(kept)
    assert np.array_equal(informative(z[:300], 300), np.arange(300))


def test_long_histories_are_thinned():
    space, rng, history = space_of(BOX), np.random.default_rng(0), History()
    for _ in range(1200):
        params = space.sample(rng)
        record(history, params, bowl(params) + rng.normal(0, 0.005))
    sampler = BayesSampler(space, None)
    params = ask(sampler, history)
    assert math.dist((params["x"], params["y"]), (0.7, 0.2)) < 0.1
    assert len(sampler.posterior(history)[0]) == 1200


# --- that it optimises ----------------------------------------------------------------------------------------------


def branin(params: Params) -> float:
    x, y = params["x"], params["y"]
    bowl_ = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    return 0.39788735772973816 - bowl_ - 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) - 10


def test_branin_is_solved_in_25_trials():
    space = space_of({"x": Real(-5, 10), "y": Real(0, 15)})
    regrets = []
    for seed in range(6):
        history = search(BayesSampler(space, 40), branin, 30, seed)
        regrets.append([-max(o.score for o in history.outcomes[:n]) for n in (25, 30)])
    assert np.median(regrets, axis=0)[0] < 0.02
    assert np.max(regrets, axis=0)[1] < 0.2


def test_a_mixed_space_is_solved_far_better_than_by_random_search():
    space = space_of(MIXED)
    ours, random = [], []
    for seed in range(4):
        ours.append(max(o.score for o in search(BayesSampler(space, 40), mixed_score, 40, seed).outcomes))
        random.append(max(mixed_score(space.sample(rng_of(seed, number))) for number in range(40)))
    assert np.mean(ours) > -0.02
    assert np.mean(ours) > 0.2 * np.mean(random)


def test_the_better_branch_is_found():
    def score(params):
        return params["k"] / 100 if params["clf"] == "knn" else -((math.log10(params["C"]) - 0.5) ** 2) + 0.1

    history = search(BayesSampler(space_of(BRANCHES), 30), score, 30)
    assert max(outcome.score for outcome in history.outcomes) >= 0.19
