"""Which amounts of resource can be trusted: against known correlations, and in searches whose early scores mislead."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, rankdata

from sksearch.samplers.bayes import BayesSampler
from sksearch.samplers.fixed import FixedSampler
from sksearch.samplers.random import RandomSampler
from sksearch.schedulers.brackets import asynchronous_brackets, plan, synchronous_brackets
from sksearch.schedulers.fidelity import add_score, correlation, least_trusted_level
from sksearch.schedulers.hyperband import AshaScheduler, HyperbandScheduler
from sksearch.space import Space
from sksearch.trials import Evaluation, History, Outcome, Trial


def normal_pairs(rho, n, seed):
    """Scores at a low level, and at a high one for the best third of it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=n)
    low = dict(enumerate(x.tolist()))
    return low, {trial: float(y[trial]) for trial in np.argsort(-x)[: n // 3].tolist()}


@pytest.mark.parametrize("rho", [-0.8, 0.0, 0.5, 0.9])
def test_the_selection_of_the_best_third_does_not_hide_the_correlation(rho):
    """The plain correlation of the promoted trials falls to half of it."""
    low, high = normal_pairs(rho, 6000, seed=1)
    assert correlation(low, high, high) == pytest.approx(rho, abs=0.06)
    if abs(rho) == 0.9:
        plain = np.corrcoef([low[trial] for trial in high], list(high.values()))[0, 1]
        assert abs(plain - rho) > 0.15


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 30))
def test_correlation_depends_on_ranks_alone_and_not_on_the_order_of_trials(seed, n):
    rng = np.random.default_rng(seed)
    low, high = dict(enumerate(rng.normal(size=n).tolist())), dict(enumerate(rng.normal(size=n).tolist()))
    found = correlation(low, high, range(n))
    assert -1 < found < 1
    order = rng.permutation(n).tolist()
    shuffled = {trial: math.exp(low[trial]) for trial in order}
    assert correlation(shuffled, {t: 5 * v**3 + v for t, v in high.items()}, reversed(range(n))) == pytest.approx(found)


@pytest.mark.parametrize("n_best", [12, 40, 120])
def test_pairs_count_by_the_spread_that_a_selection_leaves(n_best):
    """The weight of the pairs, read off the result, with numpy's regression and scipy's ranks."""
    rng = np.random.default_rng(0)
    early = rng.standard_normal(120)
    late = 0.2 * early + rng.standard_normal(120)
    best = np.argsort(-early)[:n_best]
    scores = norm.ppf((rankdata(early) - 0.5) / 120)
    x, y = scores[best], norm.ppf((rankdata(late[best]) - 0.5) / n_best)
    (slope, _), (squares, *_), *_ = np.polyfit(x, y, 1, full=True)
    r = slope / math.sqrt(slope**2 + squares / (n_best - 2))
    found = correlation(dict(enumerate(early)), {trial: late[trial] for trial in best.tolist()}, best.tolist())
    weight = (math.atanh(0.7) - math.atanh(found)) / (math.atanh(found) - math.atanh(r))
    assert weight == pytest.approx((n_best - 3) * np.var(x) / np.var(scores))


def test_the_best_of_a_faithful_rung_refute_it_less_often_than_as_many_of_all():
    """Later scores correlate with early ones at 0.8; 12 of 120 trials go on. As 12 of a whole rung: one in four."""
    refuted = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        early = rng.standard_normal(120)
        late = 0.8 * early + 0.6 * rng.standard_normal(120)
        best = np.argsort(-early)[:12].tolist()
        refuted.append(correlation(dict(enumerate(early)), {trial: late[trial] for trial in best}, best) < 0.5)
    assert np.mean(refuted) < 0.18


def test_a_reversed_rung_is_refuted_by_a_few_of_all_its_trials():
    refuted = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        early = rng.standard_normal(120)
        late = -0.8 * early + 0.6 * rng.standard_normal(120)
        some = rng.choice(120, 8, replace=False).tolist()
        refuted.append(correlation(dict(enumerate(early)), {trial: late[trial] for trial in some}, some) < 0.5)
    assert np.mean(refuted) > 0.98


def test_equal_early_scores_predict_nothing():
    found = correlation(dict.fromkeys(range(5), 1.0), dict(enumerate([1.0, 2.0, 3.0, 4.0, 5.0])), range(5))
    assert found == pytest.approx(math.tanh(math.atanh(0.7) / 3))


def test_equal_late_scores_say_nothing_of_early_ones():
    """Models that all still predict the most frequent class."""
    early = dict(enumerate([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    assert correlation(early, dict.fromkeys(range(6), 0.5), range(6)) == 0.7
    assert least_trusted_level({1: early, 3: dict.fromkeys(range(6), 0.5)}) is None


def test_four_pairs_in_order_confirm_and_four_in_reverse_refute():
    low = {trial: float(trial) for trial in range(8)}
    assert least_trusted_level({1: low, 3: {t: float(t) for t in range(4, 8)}}) is None
    assert least_trusted_level({1: low, 3: {t: -float(t) for t in range(4, 8)}}) == 3
    assert least_trusted_level({1: low, 3: {t: -float(t) for t in range(5, 8)}}) is None  # three are too few
    assert least_trusted_level({}) is None


def test_a_level_is_compared_with_the_highest_that_enough_trials_reached():
    """1 tells what 3 says and not what 9 says; 3 tells what 9 says."""
    a, w = np.random.default_rng(0).normal(size=(2, 2000))
    one, three, nine = (dict(enumerate(v.tolist())) for v in (a, a + 1.5 * w, w - 0.2 * a))  # .55, .71 and -.20
    assert least_trusted_level({1: one, 3: three}) is None
    assert least_trusted_level({1: one, 3: three, 9: {trial: nine[trial] for trial in range(3)}}) is None
    assert least_trusted_level({1: one, 3: three, 9: nine}) == 3


def test_failed_and_resourceless_outcomes_have_no_level():
    levels: dict[int, dict[int, float]] = {}
    told = [(0, 1, 0.5), (1, 1, math.nan), (2, 3, 0.7), (3, None, 0.9), (4, 3, 0.8), (5, 9, math.nan)]
    for number, amount, score in told:
        add_score(levels, Outcome(evaluation=Evaluation(Trial(number, {}), amount), folds=(), score=score))
    assert levels == {1: {0: 0.5}, 3: {2: 0.7, 4: 0.8}}
    # it was pruned, had all folds, and failed
    add_score(levels, Outcome(evaluation=Evaluation(Trial(4, {}), 3), folds=(), score=math.nan))
    assert levels == {1: {0: 0.5}, 3: {2: 0.7}}


# --- searches -------------------------------------------------------------------------------------------------------


def faithful(x, n):
    """Whoever is good in the end is good at once."""
    return -abs(x - 0.2) - 1.0 / n


def crossing(x, n):
    """A learning rate: fast ones are ahead until the slow ones have had their time."""
    return -0.6 * x - math.exp(-n * 10 ** (2 * x - 2))


def reversed_until_late(x, n):
    return (1 if n > 20 else -1) * -abs(x - 0.2)


def run(curve, scheduler, seed):
    history = History()
    noise = np.random.default_rng((seed, 1))
    while True:
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(len(history.trials),)))
        evaluation = scheduler.ask(history, rng)
        if evaluation is None:
            return history
        history.asked(evaluation)
        score = curve(evaluation.trial.params["x"], evaluation.n_resources) + 1e-3 * noise.normal()
        history.told(Outcome(evaluation=evaluation, folds=(), score=score))


def found(history, curve):
    """True final value of what would be selected."""
    best = max(history.outcomes, key=lambda o: (o.evaluation.n_resources, o.score))
    return curve(best.evaluation.trial.params["x"], 81)


def sampler_of(kind, n_trials):
    space = Space.parse({"x": (0.0, 1.0)}, argument="param_distributions", tuple_is_range=True)
    return RandomSampler(space, []) if kind == "random" else BayesSampler(space, n_trials)


class Spy:
    """Draws at random, and notes the amount and the status of every outcome that it is shown."""

    def __init__(self):
        self.sampler, self.shown = sampler_of("random", None), []

    def suggest(self, history, rng):
        self.shown.append([(o.evaluation.n_resources, o.status) for o in history.outcomes])
        return self.sampler.suggest(history, rng)


def loss(curve, kind, *, robust, seeds=range(4)):
    """Mean distance to the best final value there is."""
    brackets = asynchronous_brackets(1, 81, 3)
    best = max(curve(x, 81) for x in np.linspace(0, 1, 1001))
    scheduler = [AshaScheduler(sampler_of(kind, 143), brackets, robust=robust) for _ in seeds]
    return float(np.mean([best - found(run(curve, s, seed), curve) for s, seed in zip(scheduler, seeds, strict=True)]))


@pytest.mark.parametrize("curve", [crossing, reversed_until_late])
def test_where_early_scores_mislead_the_best_is_not_lost(curve):
    """The published rule is left with something bad."""
    assert loss(curve, "random", robust=True) < 0.35 * loss(curve, "random", robust=False)
    assert loss(curve, "bayes", robust=True, seeds=range(2)) < 0.1


@pytest.mark.parametrize("curve", [crossing, reversed_until_late])
def test_the_published_brackets_keep_the_best_also_with_the_model(curve):
    """A model of all rungs started the last bracket, all of it at the top, where early scores had been good."""
    brackets = synchronous_brackets(1, 81, 3)
    best = max(curve(x, 81) for x in np.linspace(0, 1, 1001))
    for seed in range(2):
        scheduler = HyperbandScheduler(sampler_of("bayes", 143), brackets)
        assert best - found(run(curve, scheduler, seed), curve) < 0.03


def test_the_sampler_of_a_published_bracket_sees_its_amounts_and_failures():
    sampler = Spy()
    brackets = synchronous_brackets(1, 81, 3)
    history = run(lambda x, n: math.nan if x > 0.8 else faithful(x, n), HyperbandScheduler(sampler, brackets), 0)
    started = [evaluation for evaluation in history.evaluations if evaluation.rung == 0]
    assert len(started) == len(sampler.shown) == sum(bracket.rungs[0].n_trials for bracket in brackets)
    for evaluation, seen in zip(started, sampler.shown, strict=True):
        assert all(amount >= evaluation.n_resources for amount, status in seen if status == "ok")
    told = [(o.evaluation.n_resources, o.status) for o in history.outcomes]
    first = [e.bracket for e in started].index(1)
    amounts = {1, 3, 9, 27, 81}
    assert {amount for amount, status in sampler.shown[first] if status == "ok"} == amounts - {1}
    assert sampler.shown[first].count((1, "failed")) == told.count((1, "failed")) > 0


def test_where_early_scores_are_faithful_all_candidates_are_tried():
    scheduler = AshaScheduler(sampler_of("random", 143), asynchronous_brackets(1, 81, 3))
    history = run(faithful, scheduler, 0)
    assert len(history.trials) == 143
    assert all(
        e.rung == 0 or e.trial.number in {o.evaluation.trial.number for o in history.outcomes}
        for e in history.evaluations
    )
    assert found(history, faithful) > -0.03


def test_the_first_trials_reach_the_top_whatever_their_scores_are():
    brackets = asynchronous_brackets(1, 81, 3)
    scheduler = AshaScheduler(sampler_of("random", 143), brackets)
    assert scheduler.n_scouts(0) == brackets[0].rungs[-1].n_trials // 3 == 3
    history = run(lambda x, n: faithful(x, n) if n > 1 else 0.0, scheduler, 0)
    top = {e.trial.number for e in history.evaluations if e.n_resources == 81}
    assert {0, 1, 2} <= top
    levels = [[e.n_resources for e in history.evaluations if e.trial.number == scout] for scout in range(3)]
    assert levels == [[1, 3, 9, 27, 81]] * 3
    assert scheduler.done(history)


def test_scouts_that_no_rank_promotes_spend_at_most_half():
    candidates = [{"x": 1.0}] * 3 + [{"x": 0.5 - 0.001 * number} for number in range(140)]
    scheduler = AshaScheduler(FixedSampler(candidates), asynchronous_brackets(1, 81, 3))
    reached: dict[int, int] = {}
    for evaluation in run(faithful, scheduler, 0).evaluations:
        reached[evaluation.trial.number] = evaluation.n_resources
        if evaluation.trial.number < 3 and evaluation.rung > 0 and len(reached) > 9:
            assert sum(reached[scout] for scout in range(3)) <= 0.5 * sum(reached.values())
    assert [reached[scout] for scout in range(3)] == [81, 81, 81]


@pytest.mark.parametrize("seed", range(6))
def test_faithful_scores_leave_several_brackets_as_planned(seed):
    """Whichever bracket the first trial is in."""
    brackets = asynchronous_brackets(1, 81, 3, n_brackets=5)
    history = run(faithful, AshaScheduler(sampler_of("random", 143), brackets), seed)
    first = {evaluation.trial.number: evaluation for evaluation in reversed(history.evaluations)}
    started = [sum(e.bracket == number and e.rung == 0 for e in first.values()) for number in range(5)]
    assert started == [bracket.rungs[0].n_trials for bracket in brackets]


@pytest.mark.parametrize("n_candidates", [2, 4, 12])
@pytest.mark.parametrize("seed", range(8))
def test_every_bracket_that_started_has_a_trial_at_its_top(n_candidates, seed):
    brackets = asynchronous_brackets(1, 81, 3, n_brackets=4, n_candidates=n_candidates)
    history = run(lambda x, n: math.sin(1e4 * x * n), AshaScheduler(sampler_of("random", n_candidates), brackets), seed)
    for number, bracket in enumerate(brackets):
        amounts = [e.n_resources for e in history.evaluations if e.bracket == number]
        assert not amounts or max(amounts) == bracket.rungs[-1].n_resources


def test_the_sampler_sees_failures_of_amounts_that_are_not_trusted():
    sampler = Spy()
    scheduler = AshaScheduler(sampler, asynchronous_brackets(1, 81, 3))
    run(lambda x, n: math.nan if x > 0.8 else reversed_until_late(x, n), scheduler, 0)
    assert {status for amount, status in sampler.shown[-1] if amount < 9} == {"failed"}
    assert (81, "ok") in sampler.shown[-1]


@pytest.mark.parametrize(("least", "most", "n"), [(1, 1, 5), (1, 3, 2), (1, 9, 1), (1, 81, 4)])
def test_small_searches_have_scouts_only_where_there_are_places(least, most, n):
    brackets = asynchronous_brackets(least, most, 3, n_candidates=n)
    scheduler = AshaScheduler(sampler_of("random", n), brackets)
    history = run(faithful, scheduler, 0)
    assert max(e.n_resources for e in history.evaluations) == most
    assert scheduler.done(history)
    reached: dict[int, int] = {}
    for evaluation in history.evaluations:
        reached[evaluation.trial.number] = evaluation.n_resources
    assert sum(reached.values()) <= plan(brackets).n_resources
