"""Brackets against published tables; schedulers against exhaustive replays of the published rules."""

from __future__ import annotations

import copy
import math
import pickle
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sksearch.samplers.fixed import FixedSampler
from sksearch.schedulers.brackets import (
    Bracket,
    Rung,
    asynchronous_brackets,
    cut,
    most_promotions,
    plan,
    published_brackets,
    rung_levels,
    synchronous_brackets,
)
from sksearch.schedulers.hyperband import AshaScheduler, HyperbandScheduler
from sksearch.trials import Evaluation, History, Outcome

ENDLESS = FixedSampler([{"x": 0}] * 2000)


def table(brackets):
    return [[(rung.n_trials, rung.n_resources) for rung in bracket.rungs] for bracket in brackets]


# --- brackets ---------------------------------------------------------------------------------------


def test_the_brackets_of_81_are_those_of_the_published_algorithm():
    assert table(published_brackets(1, 81, 3)) == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]


@pytest.mark.parametrize(
    ("max_resources", "factor", "n_trials", "n_evaluations", "from_scratch", "resumed"),
    [
        (9, 3, 17, 22, 78, 69),
        (27, 3, 49, 69, 423, 357),
        (81, 3, 143, 206, 1902, 1581),
        (243, 3, 415, 611, 8457, 6831),
        (16, 4, 25, 31, 136, 124),
        (256, 4, 378, 498, 6000, 5232),
    ],
)
def test_costs_are_the_published_ones(max_resources, factor, n_trials, n_evaluations, from_scratch, resumed):
    cost = plan(published_brackets(1, max_resources, factor))
    assert (cost.n_trials, cost.n_evaluations) == (n_trials, n_evaluations)
    assert (cost.n_resources_from_scratch, cost.n_resources) == (from_scratch, resumed)


@pytest.mark.parametrize(
    ("max_iter", "n_models", "partial_fit_calls"),
    [(9, 17, 69), (15, 17, 101), (20, 17, 144), (27, 49, 357), (30, 49, 379), (81, 143, 1581)],
)
def test_totals_are_those_that_dask_ml_pins(max_iter, n_models, partial_fit_calls):
    cost = plan(published_brackets(1, max_iter, 3))
    assert (cost.n_trials, cost.n_resources) == (n_models, partial_fit_calls)


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_no_bracket_is_lost_to_rounding_of_logarithms(factor):
    for k in range(21):
        longest = published_brackets(1, factor**k, factor)[0]
        assert [rung.n_resources for rung in longest.rungs] == [factor**i for i in range(k + 1)]
        assert [rung.n_trials for rung in longest.rungs] == [factor ** (k - i) for i in range(k + 1)]
        assert rung_levels(1, factor**k, factor) == tuple(factor**i for i in range(k + 1))


def test_729_starts_with_one_unit_of_resource():
    brackets = table(published_brackets(1, 729, 3))
    assert brackets[0][0] == (729, 1)
    assert len(brackets) == 7


@given(
    least=st.integers(1, 50),
    extra=st.integers(0, 5000),
    factor=st.one_of(st.integers(2, 10), st.sampled_from([1.25, 1.5, 2.5, 3.7])),
)
def test_rungs_stay_between_the_smallest_and_the_largest_amount(least, extra, factor):
    most = least + extra
    levels = rung_levels(least, most, factor)
    assert levels[-1] == most
    assert levels[0] >= least
    assert levels[0] < least * factor + 1
    assert list(levels) == sorted(set(levels))
    for bracket in published_brackets(least, most, factor) + asynchronous_brackets(least, most, factor):
        resources = [rung.n_resources for rung in bracket.rungs]
        sizes = [rung.n_trials for rung in bracket.rungs]
        assert resources == sorted(set(resources))
        assert sizes == sorted(sizes, reverse=True)
        assert least <= resources[0] <= resources[-1] <= most
        assert sizes[-1] >= 1
    assert published_brackets(least, most, factor)[-1].rungs[-1].n_resources == most


def test_an_int_of_brackets_takes_the_most_aggressive_first():
    assert table(synchronous_brackets(1, 81, 3, n_brackets=2)) == table(published_brackets(1, 81, 3))[:2]


def test_more_candidates_repeat_the_brackets_and_fewer_cut_the_last():
    nine, five, three = table(published_brackets(1, 9, 3))
    assert table(synchronous_brackets(1, 9, 3, n_candidates=17 + 7)) == [nine, five, three, [(7, 1), (2, 3), (1, 9)]]
    assert table(synchronous_brackets(1, 9, 3, n_candidates=2)) == [[(2, 1), (1, 3), (1, 9)]]


def test_asynchronous_candidates_are_as_many_as_the_published_brackets_start():
    assert [bracket.rungs[0].n_trials for bracket in asynchronous_brackets(1, 81, 3)] == [143]
    started = [bracket.rungs[0].n_trials for bracket in asynchronous_brackets(1, 81, 3, n_brackets=5)]
    assert started == [81, 34, 15, 8, 5]
    started = [b.rungs[0].n_trials for b in asynchronous_brackets(1, 243, 3, n_brackets=6, n_candidates=415 * 2)]
    assert started == [486, 196, 82, 36, 18, 12]


@given(total=st.integers(1, 300), n_brackets=st.integers(1, 5))
def test_every_candidate_gets_a_bracket(total, n_brackets):
    brackets = asynchronous_brackets(1, 81, 3, n_brackets=n_brackets, n_candidates=total)
    assert sum(bracket.rungs[0].n_trials for bracket in brackets) == total


@pytest.mark.parametrize("make", [published_brackets, rung_levels, synchronous_brackets, asynchronous_brackets])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 9, 1), "factor must be a finite number greater than 1, got 1"),
        ((1, 9, math.nan), "factor must be a finite number"),
        ((1, 9, math.inf), "factor must be a finite number"),
        ((0, 9, 3), "min_resources must be at least 1, got 0"),
        ((10, 9, 3), "min_resources=10 is greater than max_resources=9"),
    ],
)
def test_amounts_without_sense_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(*arguments)


@pytest.mark.parametrize("make", [synchronous_brackets, asynchronous_brackets])
def test_numbers_of_brackets_and_candidates_are_checked(make):
    with pytest.raises(ValueError, match="brackets must be from 1 to 3"):
        make(1, 9, 3, n_brackets=4)
    with pytest.raises(ValueError, match="brackets must be from 1 to 3"):
        make(1, 9, 3, n_brackets=0)
    with pytest.raises(ValueError, match="n_candidates must be at least 1"):
        make(1, 9, 3, n_candidates=0)


# --- replaying searches -------------------------------------------------------------------------------


@dataclass
class Replay:
    """Runs a scheduler with invented scores, workers and orders of arrival."""

    scheduler: HyperbandScheduler | AshaScheduler
    seed: int
    n_workers: int = 1
    p_fail: float = 0.0
    levels_of_score: int = 10
    forget: bool = False
    p_prune: float = 0.0
    """Of a trial that has a rival; it has all folds when it comes again."""

    def __post_init__(self):
        self.history = History()
        self.rng = np.random.default_rng(self.seed)
        self.asks: list[Evaluation] = []
        self.busy: list[tuple[int, Evaluation]] = []

    def score(self, evaluation):
        draw = np.random.default_rng((self.seed, evaluation.trial.number, evaluation.rung))
        return math.nan if draw.random() < self.p_fail else float(draw.integers(self.levels_of_score))

    def ask(self):
        scheduler = pickle.loads(pickle.dumps(self.scheduler)) if self.forget else self.scheduler
        rng = np.random.default_rng((self.seed, len(self.history.trials)))
        evaluation = scheduler.ask(self.history, rng)
        if evaluation is not None:
            self.history.asked(evaluation)
            self.asks.append(evaluation)
        return evaluation

    def tell(self, evaluation):
        score = self.score(evaluation)
        rng = np.random.default_rng((self.seed, evaluation.trial.number, evaluation.rung, 1))
        pruned = rng.random() < self.p_prune and self.scheduler.rival(self.history, evaluation) is not None
        folds = (score, math.nan) if pruned else (score, score)
        self.history.told(Outcome(evaluation=evaluation, folds=(), score=score, fold_scores=folds))

    def run(self):
        while True:
            while len(self.history.pending) < self.n_workers and self.ask() is not None:
                pass
            pending = self.history.pending
            if not pending:
                return self
            self.tell(pending[self.rng.integers(len(pending))])

    def at(self, bracket, rung):
        return [e.trial.number for e in self.asks if (e.bracket, e.rung) == (bracket, rung)]

    def scores(self, bracket, rung):
        return {
            outcome.evaluation.trial.number: outcome.score
            for outcome in self.history.outcomes
            if (outcome.evaluation.bracket, outcome.evaluation.rung) == (bracket, rung)
        }


def best_first(scores):
    return sorted((n for n, score in scores.items() if math.isfinite(score)), key=lambda n: (-scores[n], n))


SEARCHES = {
    "seed": st.integers(0, 2**32 - 1),
    "n_workers": st.integers(1, 6),
    "p_fail": st.sampled_from([0.0, 0.0, 0.3, 0.9, 1.0]),
    "levels_of_score": st.sampled_from([2, 1000]),
}


@st.composite
def asynchronous(draw):
    factor = draw(st.sampled_from([2, 3, 4, 2.5]))
    most = draw(st.integers(1, 100))
    n_levels = len(rung_levels(1, most, factor))
    brackets = asynchronous_brackets(
        1,
        most,
        factor,
        n_brackets=draw(st.integers(1, n_levels)),
        n_candidates=draw(st.integers(1, 60)),
    )
    sampler = draw(samplers())
    return AshaScheduler(sampler, brackets, robust=draw(st.booleans()), scarce=draw(is_scarce(sampler, brackets)))


@st.composite
def synchronous(draw):
    factor = draw(st.sampled_from([2, 3, 4, 2.5]))
    brackets = synchronous_brackets(
        1, draw(st.integers(1, 60)), factor, n_candidates=draw(st.none() | st.integers(1, 60))
    )
    sampler = draw(samplers())
    return HyperbandScheduler(sampler, brackets, scarce=draw(is_scarce(sampler, brackets)))


def samplers():
    return st.one_of(st.just(ENDLESS), st.integers(0, 30).map(few))


def few(n):
    return FixedSampler([{"x": 0}] * n)


def is_scarce(sampler, brackets):
    runs_out = sampler is not ENDLESS and len(sampler.candidates) < plan(brackets).n_trials
    return st.booleans() if runs_out else st.just(False)


@settings(max_examples=150, deadline=None)
@given(scheduler=synchronous() | asynchronous(), **SEARCHES)
def test_a_trial_climbs_rung_by_rung_and_never_after_a_failure(scheduler, **search):
    replay = Replay(scheduler, **search).run()
    assert len(set(replay.asks)) == len(replay.asks)
    told = {o.evaluation: o for o in replay.history.outcomes}
    first = {evaluation.trial.number: evaluation for evaluation in reversed(replay.asks)}
    last = {}
    for evaluation in replay.asks:
        rung = scheduler.brackets[evaluation.bracket].rungs[evaluation.rung]
        assert evaluation.n_resources == rung.n_resources
        robust = isinstance(scheduler, AshaScheduler) and scheduler.robust
        if evaluation.rung and not (robust and evaluation is first[evaluation.trial.number]):
            amount = scheduler.brackets[evaluation.bracket].rungs[evaluation.rung - 1].n_resources
            below = replace(evaluation, rung=evaluation.rung - 1, n_resources=amount)
            assert told[below].status == "ok"
        before = last.get(evaluation.trial.number)
        last[evaluation.trial.number] = evaluation
        assert before is None or before.n_resources < evaluation.n_resources
        if before is not None and before.bracket != evaluation.bracket:
            assert scheduler.scarce
            assert before.bracket < evaluation.bracket
            assert told[before].status == "ok"


@settings(max_examples=300, deadline=None)
@given(scheduler=synchronous() | asynchronous(), p_prune=st.sampled_from([0.0, 0.9]), **SEARCHES)
def test_no_rung_and_no_search_costs_more_than_planned(scheduler, **search):
    replay = Replay(scheduler, **search)
    tell, ask, kept, spent = replay.tell, replay.ask, {}, []

    def told(evaluation):
        tell(evaluation)
        outcome = replay.history.outcomes[-1]
        kept[evaluation.trial.number] = evaluation.n_resources if outcome.status == "ok" else 0
        for number in kept.keys() - scheduler.unfinished(replay.history):
            kept[number] = 0

    def asked():
        evaluation = ask()
        if evaluation is not None:
            spent.append(evaluation.n_resources - kept.get(evaluation.trial.number, 0))
        return evaluation

    replay.tell, replay.ask = told, asked
    replay.run()
    cost = plan(scheduler.brackets)
    if not (isinstance(scheduler, AshaScheduler) and scheduler.robust):
        for row in cost.rows:
            assert len(set(replay.at(row.bracket, row.rung))) <= row.n_trials
    assert sum(spent) <= cost.n_resources
    assert sum(e.n_resources for e in replay.asks) <= cost.n_resources_from_scratch


@settings(max_examples=100, deadline=None)
@given(scheduler=synchronous() | asynchronous(), **SEARCHES)
def test_a_search_that_has_a_score_has_one_at_the_top_of_its_brackets(scheduler, **search):
    search["p_fail"] = 0.0
    replay = Replay(scheduler, **search).run()
    for number, bracket in enumerate(scheduler.brackets):
        if replay.at(number, 0):
            assert replay.at(number, len(bracket.rungs) - 1)


@settings(max_examples=100, deadline=None)
@given(scheduler=synchronous() | asynchronous(), **SEARCHES)
def test_asks_are_a_function_of_the_history(scheduler, **search):
    plain = Replay(scheduler, **search).run()
    assert Replay(copy.deepcopy(scheduler), **search, forget=True).run().asks == plain.asks


@settings(max_examples=300, deadline=None)
@given(scheduler=synchronous() | asynchronous(), fail_late=st.booleans(), **SEARCHES)
def test_no_trial_is_promoted_whose_models_were_dropped(scheduler, fail_late, **search):
    replay = Replay(scheduler, **search, p_prune=0.5)
    tell, score, dropped = replay.tell, replay.score, set()
    if fail_late:
        replay.score = lambda evaluation: math.nan if evaluation.rung else score(evaluation)

    def told(evaluation):
        tell(evaluation)
        dropped.update({e.trial.number for e in replay.asks} - scheduler.unfinished(replay.history))

    def asked():
        evaluation = Replay.ask(replay)
        comes_again = evaluation is not None and evaluation in replay.asks[:-1]
        assert evaluation is None or comes_again or evaluation.trial.number not in dropped
        if comes_again:
            dropped.discard(evaluation.trial.number)
        return evaluation

    replay.tell, replay.ask = told, asked
    replay.run()
    assert scheduler.unfinished(replay.history) <= {e.trial.number for e in replay.asks}


@pytest.mark.parametrize(
    ("scheduler", "make"), [(AshaScheduler, asynchronous_brackets), (HyperbandScheduler, synchronous_brackets)]
)
def test_no_more_than_a_share_of_each_rung_is_kept(scheduler, make):
    brackets = make(1, 81, 3)
    replay = Replay(scheduler(ENDLESS, brackets), seed=1)
    replay.score = lambda evaluation: float(np.random.default_rng(evaluation.trial.number).random())  # early is late
    kept, tell = [], replay.tell

    def told(evaluation):
        tell(evaluation)
        kept.append(len(replay.scheduler.unfinished(replay.history)))

    replay.tell = told
    replay.run()
    assert len(replay.history.trials) == 143
    assert max(kept) <= sum(rung.n_trials for bracket in brackets for rung in bracket.rungs[:-1]) / 3


def test_one_scheduler_can_follow_two_histories():
    scheduler = AshaScheduler(ENDLESS, asynchronous_brackets(1, 9, 3))
    first = Replay(scheduler, seed=1).run()
    second = Replay(scheduler, seed=2).run()
    assert first.asks == Replay(copy.deepcopy(scheduler), seed=1).run().asks
    assert second.asks == Replay(copy.deepcopy(scheduler), seed=2).run().asks


@settings(max_examples=100, deadline=None)
@given(scheduler=synchronous() | asynchronous(), **SEARCHES)
def test_done_says_budget_if_all_candidates_were_started_or_all_is_spent(scheduler, **search):
    replay = Replay(scheduler, **search).run()
    planned = sum(bracket.rungs[0].n_trials for bracket in scheduler.brackets)
    all_started = len(replay.history.trials) == planned
    if isinstance(scheduler, AshaScheduler) and scheduler.robust and scheduler.sampler is ENDLESS:
        assert scheduler.done(replay.history)  # all units are spent, or all candidates started
    elif not scheduler.scarce and not (isinstance(scheduler, AshaScheduler) and scheduler.robust):
        assert scheduler.done(replay.history) == all_started
    else:
        assert scheduler.done(replay.history) or not all_started


@pytest.mark.parametrize(
    "scheduler",
    [
        HyperbandScheduler(ENDLESS, published_brackets(1, 9, 3)),
        AshaScheduler(ENDLESS, asynchronous_brackets(1, 9, 3)),
    ],
)
def test_a_search_is_not_done_while_something_runs(scheduler):
    replay = Replay(scheduler, seed=0)
    while (evaluation := replay.ask()) is not None:
        assert not scheduler.done(replay.history)
        replay.tell(evaluation)
    assert scheduler.done(replay.history)


# --- synchronous --------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    max_resources=st.integers(1, 81),
    factor=st.integers(2, 4),
    seed=SEARCHES["seed"],
    n_workers=SEARCHES["n_workers"],
    levels_of_score=SEARCHES["levels_of_score"],
)
def test_synchronous_promotions_are_the_best_share_of_the_full_rung(max_resources, factor, **search):
    brackets = published_brackets(1, max_resources, factor)
    replay = Replay(HyperbandScheduler(ENDLESS, brackets), **search).run()
    for number, bracket in enumerate(brackets):
        assert len(replay.at(number, 0)) == bracket.rungs[0].n_trials
        for rung in range(len(bracket.rungs) - 1):
            ranked = best_first(replay.scores(number, rung))
            assert replay.at(number, rung + 1) == ranked[: len(ranked) // factor]


def test_one_worker_finishes_a_bracket_before_the_next():
    replay = Replay(HyperbandScheduler(ENDLESS, published_brackets(1, 27, 3)), seed=0).run()
    assert [e.bracket for e in replay.asks] == sorted(e.bracket for e in replay.asks)


def test_workers_without_work_start_the_next_bracket():
    replay = Replay(HyperbandScheduler(ENDLESS, published_brackets(1, 9, 3)), seed=0)
    first = [replay.ask() for _ in range(9)]
    assert {e.bracket for e in first} == {0}
    assert replay.ask().bracket == 1
    for evaluation in first:
        replay.tell(evaluation)
    promoted = replay.ask()
    assert (promoted.bracket, promoted.rung) == (0, 1)


def test_a_bracket_of_failures_promotes_only_those_that_did_not_fail():
    replay = Replay(HyperbandScheduler(ENDLESS, (Bracket((Rung(9, 1), Rung(3, 3), Rung(1, 9))),)), seed=0)
    replay.score = lambda evaluation: 1.0 if evaluation.trial.number == 5 else math.nan
    replay.run()
    assert (replay.at(0, 1), replay.at(0, 2)) == ([5], [5])


def test_an_exhausted_sampler_leaves_a_bracket_that_goes_on_with_its_trials():
    sampler = FixedSampler([{"x": 0}] * 7)
    replay = Replay(HyperbandScheduler(sampler, published_brackets(1, 9, 3)), seed=0, levels_of_score=1000).run()
    assert [len(replay.at(0, rung)) for rung in range(3)] == [7, 2, 1]
    assert not replay.scheduler.done(replay.history)


# --- few candidates -----------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    n_points=st.integers(1, 142),
    n_workers=st.integers(1, 6),
    p_fail=SEARCHES["p_fail"],
    seed=SEARCHES["seed"],
    most=st.sampled_from([9, 27, 81, 50]),
)
def test_brackets_share_few_candidates(n_points, n_workers, p_fail, seed, most):
    """Who enters a later bracket is whom the earlier ones have left below it, as many as there are places."""
    brackets = synchronous_brackets(1, most, 3)
    scarce = n_points < plan(brackets).n_trials
    replay = Replay(HyperbandScheduler(few(n_points), brackets, scarce=scarce), seed, n_workers, p_fail).run()
    assert len(replay.history.trials) == min(n_points, plan(brackets).n_trials)
    reached, failed = {}, set()
    for number, bracket in enumerate(brackets):
        lowest, places = bracket.rungs[0].n_resources, bracket.rungs[0].n_trials
        entered = replay.at(number, 0)
        new = [trial for trial in entered if trial not in reached]
        free = {trial for trial, amount in reached.items() if amount < lowest} - failed
        assert set(entered) <= set(new) | free
        assert len(entered) == min(places, len(new) + len(free))
        sizes = cut(bracket, len(entered)) if entered else [0] * len(bracket.rungs)
        for rung, level in enumerate(bracket.rungs):
            scores = replay.scores(number, rung)
            reached.update(dict.fromkeys(replay.at(number, rung), level.n_resources))
            failed |= {trial for trial, score in scores.items() if math.isnan(score)}
            if rung + 1 < len(sizes):
                assert sorted(replay.at(number, rung + 1)) == sorted(best_first(scores)[: sizes[rung + 1]])
    if n_points <= brackets[-1].rungs[0].n_trials:
        assert all(amount == most for trial, amount in reached.items() if trial not in failed)


@st.composite
def scarce(draw):
    most, share = draw(st.integers(2, 30)), draw(st.floats(0.1, 0.99))
    if draw(st.booleans()):
        factor = draw(st.sampled_from([1.5, 2, 3]))
        brackets = synchronous_brackets(1, most, factor, n_candidates=draw(st.integers(2, 40)))
        kind = HyperbandScheduler
    else:
        brackets, kind = asynchronous_brackets(1, most, draw(st.sampled_from([2, 3]))), AshaScheduler
    return kind(few(max(1, int(share * plan(brackets).n_trials))), brackets, scarce=True)


@settings(max_examples=500, deadline=None)
@given(
    scheduler=scarce(),
    p_prune=st.sampled_from([0.0, 0.5, 0.9]),
    limit=st.none() | st.integers(2, 30),
    **SEARCHES,
)
def test_few_candidates_that_fail_late_or_are_pruned_run_once_at_each_amount(scheduler, p_prune, limit, **search):
    """A pruned one may come again where it was, for all folds; nobody comes after a failure, and all is paid for."""
    replay = Replay(scheduler, p_prune=p_prune, **search)
    score = replay.score
    replay.score = lambda evaluation: math.nan if evaluation.n_resources >= (limit or 99) else score(evaluation)
    last, spent, tell, ask = {}, [], replay.tell, replay.ask

    def told(evaluation):
        tell(evaluation)
        last[evaluation.trial.number] = replay.history.outcomes[-1]

    def asked():
        evaluation = ask()
        before = None if evaluation is None else last.get(evaluation.trial.number)
        kept = 0
        if before is not None:
            assert before.status != "failed"
            same = before.evaluation == evaluation
            assert before.status == "pruned" if same else before.evaluation.n_resources < evaluation.n_resources
            kept = before.evaluation.n_resources if before.status == "ok" else 0
        if evaluation is not None:
            spent.append(evaluation.n_resources - kept)
        return evaluation

    replay.tell, replay.ask = told, asked
    replay.run()
    cost = plan(scheduler.brackets)
    assert sum(spent) <= cost.n_resources
    assert sum(evaluation.n_resources for evaluation in replay.asks) <= cost.n_resources_from_scratch


def test_who_enters_a_later_bracket_is_drawn_at_random():
    """Ten, the 20 others, then 15 of the 21 that were not among the best three and six of these: each as often."""
    brackets, times = synchronous_brackets(1, 81, 3), np.zeros(30)
    for seed in range(300):
        replay = Replay(HyperbandScheduler(few(30), brackets, scarce=True), seed)
        replay.score = lambda evaluation: -float((evaluation.trial.number + seed) % 30)  # noqa: B023 - used in this turn
        entered = replay.run().at(2, 0)
        assert len(entered) == 15
        np.add.at(times, (np.array(entered) + seed) % 30, 1)
    left = [*range(3, 10), *range(16, 30)]
    assert times[left].sum() == times.sum() == 300 * 15
    expected = times.sum() / 21
    assert float(((times[left] - expected) ** 2 / expected).sum()) < 45.3  # chi-square, 20 degrees, p = 0.001


@settings(max_examples=200, deadline=None)
@given(
    n_points=st.integers(1, 142),
    n_brackets=st.integers(1, 3),
    n_workers=st.integers(1, 6),
    p_fail=SEARCHES["p_fail"],
    seed=SEARCHES["seed"],
)
def test_units_are_spent_on_few_candidates(n_points, n_brackets, n_workers, p_fail, seed):
    """In the end the next step of whoever waits would cost more than what is left."""
    brackets = asynchronous_brackets(1, 81, 3, n_brackets=n_brackets)
    replay = Replay(AshaScheduler(few(n_points), brackets, scarce=True), seed, n_workers, p_fail).run()
    last = {evaluation.trial.number: evaluation for evaluation in replay.asks}
    failed = {o.evaluation.trial.number for o in replay.history.outcomes if o.status == "failed"}
    for number, bracket in enumerate(brackets):
        own = [evaluation for evaluation in last.values() if evaluation.bracket == number]
        budget, asked = plan([bracket]), [e for e in replay.asks if e.bracket == number]
        left = budget.n_resources - sum(evaluation.n_resources for evaluation in own)
        left_from_scratch = budget.n_resources_from_scratch - sum(evaluation.n_resources for evaluation in asked)
        for evaluation in own:
            above = bracket.rungs[evaluation.rung + 1 :]
            if above and evaluation.trial.number not in failed:
                cost = above[0].n_resources - evaluation.n_resources
                assert left < cost or left_from_scratch < above[0].n_resources or not replay.at(number, 4 - number)


def test_of_few_candidates_all_are_complete():
    replay = Replay(AshaScheduler(few(8), asynchronous_brackets(1, 81, 3), scarce=True), seed=1).run()
    assert sorted(replay.at(0, 4)) == list(range(8))


def test_of_few_candidates_the_best_of_the_highest_rung_goes_on():
    scheduler = AshaScheduler(few(30), asynchronous_brackets(1, 81, 3), scarce=True)
    replay = Replay(scheduler, seed=1, levels_of_score=1000)
    replay.score = lambda evaluation: -float(evaluation.trial.number)  # early scores tell all of late ones
    replay.run()
    tops = replay.at(0, 4)
    assert len(tops) > 9
    assert sorted(tops) == list(range(len(tops)))


# --- asynchronous -------------------------------------------------------------------------------------


def exhaustive_promotion(replay, factor, *, started_all):
    """The published rule, read off the events without any bookkeeping; one bracket."""
    rungs = replay.scheduler.brackets[0].rungs
    for rung in range(len(rungs) - 2, -1, -1):
        scores = replay.scores(0, rung)
        promoted = replay.at(0, rung + 1)
        n = len(scores)
        top = best_first(scores)[: n // factor]
        limit = min(n // factor + math.ceil(math.sqrt(n)), n - factor + 1)
        waiting = [number for number in top if number not in promoted]
        if waiting and len(promoted) < limit:
            return waiting[0], rung + 1
    idle = not replay.history.pending and started_all
    if idle and not best_first(replay.scores(0, len(rungs) - 1)):
        for rung in range(len(rungs) - 2, -1, -1):
            waiting = [n for n in best_first(replay.scores(0, rung)) if n not in replay.at(0, rung + 1)]
            if waiting and len(replay.at(0, rung + 1)) < rungs[rung + 1].n_trials:
                return waiting[0], rung + 1
    return None


@settings(max_examples=150, deadline=None)
@given(
    factor=st.integers(2, 4),
    max_resources=st.integers(1, 40),
    n_candidates=st.integers(1, 40),
    **SEARCHES,
)
def test_asynchronous_promotions_are_those_of_the_published_rule(factor, max_resources, n_candidates, **search):
    brackets = asynchronous_brackets(1, max_resources, factor, n_candidates=n_candidates)
    replay = Replay(AshaScheduler(ENDLESS, brackets, robust=False), **search)
    while True:
        while len(replay.history.pending) < replay.n_workers:
            started_all = len(replay.history.trials) == n_candidates
            expected = exhaustive_promotion(replay, factor, started_all=started_all)
            evaluation = replay.ask()
            if expected is not None:
                assert (evaluation.trial.number, evaluation.rung) == expected
            elif started_all:
                assert evaluation is None
                break
            else:
                assert (evaluation.trial.number, evaluation.rung) == (len(replay.history.trials) - 1, 0)
        pending = replay.history.pending
        if not pending:
            return
        replay.tell(pending[replay.rng.integers(len(pending))])


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_limit_of_promotions_spares_searches_that_do_not_get_better_and_better(factor):
    """Without a limit at most n - factor + 1 are promoted (rising scores), about n / factor in random order."""
    for n in range(factor, 6):
        assert most_promotions(n, factor) == n - factor + 1
    rng = np.random.default_rng(0)
    n_unlimited = []
    for _ in range(50):
        scores = rng.random(200)
        promoted: set[int] = set()
        for n in range(1, 201):
            promoted |= set(np.argsort(-scores[:n])[: n // factor].tolist())
        n_unlimited.append(len(promoted))
    assert np.mean(n_unlimited) <= most_promotions(200, factor)


def test_trials_of_the_books_walk_through_are_promoted_as_told_there():
    """d2l, asynchronous successive halving: eta = 2, two workers, trials 0 to 5."""
    brackets = asynchronous_brackets(1, 8, 2, n_candidates=50)
    replay = Replay(AshaScheduler(ENDLESS, brackets), seed=0)
    quality = {0: 6, 1: 1, 2: 2, 3: 5, 4: 0, 5: 0}
    replay.score = lambda evaluation: float(quality[evaluation.trial.number])
    running = {}

    def start(expected_trial, expected_rung):
        evaluation = replay.ask()
        assert (evaluation.trial.number, evaluation.rung) == (expected_trial, expected_rung)
        running[expected_trial] = evaluation

    start(0, 0)
    start(1, 0)
    replay.tell(running[0])  # alone in its rung: nothing to promote
    start(2, 0)
    replay.tell(running[1])  # two in rung 0: the better one goes on
    start(0, 1)
    replay.tell(running[0])  # too few in rung 1
    start(3, 0)
    replay.tell(running[3])  # trial 2 still runs, trial 3 is worse than trial 0
    start(4, 0)
    replay.tell(running[2])  # worse than trial 3, which is in the better half of four now
    start(3, 1)
    replay.tell(running[3])  # two in rung 1
    start(0, 2)
    replay.tell(running[4])
    start(5, 0)


def test_few_candidates_still_send_one_to_the_top():
    replay = Replay(AshaScheduler(ENDLESS, asynchronous_brackets(1, 81, 3, n_candidates=2)), seed=3).run()
    best = best_first(replay.scores(0, 0))[0]
    assert [replay.at(0, rung) for rung in range(1, 5)] == [[best]] * 4


def test_a_failure_at_the_top_is_followed_by_the_next_best():
    replay = Replay(AshaScheduler(ENDLESS, asynchronous_brackets(1, 9, 3, n_candidates=9)), seed=0)
    replay.score = lambda e: math.nan if e.rung == 2 and len(replay.at(0, 2)) == 1 else -float(e.trial.number)
    replay.run()
    assert replay.at(0, 2) == [0, 1]


def test_an_exhausted_sampler_ends_the_search_at_the_top():
    sampler = FixedSampler([{"x": 0}] * 4)
    replay = Replay(AshaScheduler(sampler, asynchronous_brackets(1, 27, 3), robust=False), seed=0).run()
    assert len(replay.at(0, 0)) == 4
    assert len(replay.at(0, 3)) == 1
    assert not replay.scheduler.done(replay.history)


def test_a_sampler_without_any_trial_ends_the_search():
    for scheduler in (
        AshaScheduler(FixedSampler([]), asynchronous_brackets(1, 9, 3)),
        HyperbandScheduler(FixedSampler([]), published_brackets(1, 9, 3)),
    ):
        assert scheduler.ask(History(), np.random.default_rng(0)) is None


def test_several_brackets_share_new_trials_in_their_published_proportion():
    brackets = asynchronous_brackets(1, 81, 3, n_brackets=5)
    firsts = np.zeros(5)
    for seed in range(400):
        replay = Replay(AshaScheduler(ENDLESS, brackets), seed=seed)
        firsts[replay.ask().bracket] += 1
    expected = 400 * np.array([81, 34, 15, 8, 5]) / 143
    assert float(((firsts - expected) ** 2 / expected).sum()) < 18.5  # chi-square, 4 degrees, p = 0.001
    replay = Replay(AshaScheduler(ENDLESS, brackets, robust=False), seed=0).run()
    assert [len(replay.at(number, 0)) for number in range(5)] == [81, 34, 15, 8, 5]


def test_asking_stays_cheap_with_a_thousand_trials():
    """Reading only what is new: twice the trials take about twice the time, not four times."""

    def seconds(n_candidates):
        scheduler = AshaScheduler(ENDLESS, asynchronous_brackets(1, 81, 3, n_candidates=n_candidates))
        replay = Replay(scheduler, seed=0, levels_of_score=1000)
        replay.score = lambda e: float((e.trial.number * 7919) % 1009)
        started = time.process_time()
        replay.run()
        return (time.process_time() - started) / len(replay.asks)

    assert min(seconds(1000) for _ in range(3)) < 4 * min(seconds(250) for _ in range(3)) + 1e-4
