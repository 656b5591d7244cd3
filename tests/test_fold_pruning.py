"""Fold pruning: the model of folds, the rules, the engine that obeys them, and what a search shows of it."""

from __future__ import annotations

import itertools
import math
import os
import signal
import statistics
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import joblib
import numpy as np
import pytest
import sklearn.model_selection as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, uniform
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import KFold, cross_validate
from sklearn.svm import SVC

from sksearch import BayesSearchCV
from sksearch.execution import Delivery, Desk, JobPool, run_search
from sksearch.folds import FEWEST_COMPLETE, FoldModel
from sksearch.pruning import FoldRule, MedianRule, PairedRule, RuleOf, fold_order
from sksearch.results import ranks
from sksearch.samplers.fixed import FixedSampler
from sksearch.schedulers.full import FullScheduler
from sksearch.trials import Evaluation, FoldScore, History, Job, Outcome, Params, Trial

X, Y = make_classification(n_samples=90, n_features=6, n_informative=4, n_classes=3, random_state=0)
K = 5
ALPHA = 0.05
NAN = math.nan
ANY = Evaluation(Trial(0, {}))
"""Where nothing grows, all evaluations are under the same rule."""


def outcome(number: int, scores: Sequence[float], *, failed: bool = False, mean: float | None = None) -> Outcome:
    seen = [score for score in scores if not math.isnan(score)]
    score = NAN if failed else sum(seen) / len(seen) if mean is None else mean
    return Outcome(evaluation=Evaluation(Trial(number, {})), folds=(), score=score, fold_scores=tuple(scores))


def history_of(outcomes: Sequence[Outcome]) -> History:
    history = History()
    for told in outcomes:
        history.asked(told.evaluation)
        history.told(told)
    return history


def additive_fit_variance(table: np.ndarray) -> float:
    """Residual mean square of least squares on dummies of rows and columns: the two-way analysis of variance."""
    m, k = table.shape
    rows, columns = np.repeat(np.eye(m), k, axis=0), np.tile(np.eye(k), (m, 1))
    design = np.hstack([rows, columns[:, 1:]])
    residuals = table.ravel() - design @ np.linalg.lstsq(design, table.ravel(), rcond=None)[0]
    return float(residuals @ residuals) / ((m - 1) * (k - 1))


# --- the model of folds ---------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "k"), [(3, 2), (3, 5), (4, 5), (7, 3), (12, 10)])
def test_the_model_is_the_analysis_of_variance_of_the_best_half(m: int, k: int) -> None:
    rng = np.random.default_rng([m, k])
    table = rng.normal(size=(m, 1)) + rng.normal(size=(1, k)) + 0.3 * rng.normal(size=(m, k))
    model = FoldModel.of([outcome(i, row) for i, row in enumerate(table)])
    best = sorted(table.tolist(), key=sum, reverse=True)[: max(3, math.ceil(m / 2))]
    assert model.variance == pytest.approx(additive_fit_variance(np.array(best)), rel=1e-10)
    assert model.effects == tuple(statistics.median(column) for column in table.T)


def test_with_two_folds_the_variance_is_half_that_of_the_differences() -> None:
    table = np.random.default_rng(0).normal(size=(3, 2))
    model = FoldModel.of([outcome(i, row) for i, row in enumerate(table)])
    assert model.variance == pytest.approx(np.var(table[:, 0] - table[:, 1], ddof=1) / 2, rel=1e-12)


def test_only_complete_trials_say_something_of_folds() -> None:
    complete = [outcome(i, [0.1 * i, 0.2, 0.3]) for i in range(3)]
    others = [outcome(3, [9.0, NAN, NAN]), outcome(4, [9.0, 9.0, NAN], failed=True), outcome(5, [], mean=9.0)]
    assert FoldModel.of([*complete[:2], *others]) is None
    assert FoldModel.of([complete[0], *others, *complete[1:]]) == FoldModel.of(complete)


def test_a_shift_of_folds_or_of_all_scores_changes_no_variance_and_a_scale_does() -> None:
    table = np.random.default_rng(1).normal(size=(4, K))
    shifted, scaled = table + np.arange(K) + 7.0, -3.0 * table
    plain, moved = (FoldModel.of([outcome(i, row) for i, row in enumerate(t)]) for t in (table[:3], shifted[:3]))
    larger = FoldModel.of([outcome(i, row) for i, row in enumerate(scaled[:3])])
    assert moved.variance == pytest.approx(plain.variance, rel=1e-10)
    assert larger.variance == pytest.approx(9.0 * plain.variance, rel=1e-10)


@pytest.mark.parametrize("value", [0.0, 0.5, 1e300, -1e-300])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_equal_trials_say_nothing_of_folds(value: float, k: int) -> None:
    equal = [outcome(i, [value] * k) for i in range(4)]
    assert FoldModel.of(equal) is None
    assert PairedRule.of(history_of(equal), ANY) is None
    assert FoldModel.of([*equal, outcome(4, [value + 1.0] * k)]) is None


@pytest.mark.parametrize("disaster", [-1e4, -1e12, -1e20, -1e300])
def test_a_disaster_says_nothing_of_the_noise_among_good_trials(disaster: float) -> None:
    rng = np.random.default_rng(0)
    good = [outcome(i, 0.8 + 0.01 * rng.normal(size=K)) for i in range(20)]
    plain, with_it = FoldModel.of(good), FoldModel.of([*good, outcome(20, [disaster * (1 + i) for i in range(K)])])
    assert plain is not None
    assert with_it is not None
    # one more bad trial makes the better half one trial larger, no more
    assert with_it.variance == pytest.approx(plain.variance, rel=0.2)


@pytest.mark.parametrize("scale", [1.0, 1e300, 1e-300])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_additive_scores_of_any_size_leave_a_finite_variance(scale: float, k: int) -> None:
    history = history_of([outcome(i, [scale * (0.1 + 0.2 * i)] * k) for i in range(3)])
    model, rule = FoldModel.of(history.outcomes), PairedRule.of(history, ANY)
    assert model.variance >= 0.0
    assert math.isfinite(model.variance)
    assert model.extra_variance(k) == 0.0
    for n_seen in range(1, k + 1):
        assert not rule.stops([scale * 0.5] * n_seen + [NAN] * (k - n_seen))


@pytest.mark.parametrize("n_seen", range(1, K + 1))
def test_the_adjusted_mean_is_unbiased_and_its_variance_is_the_stated_one(n_seen: int) -> None:
    rng = np.random.default_rng(n_seen)
    n, sd = 20_000, 0.3
    effects = rng.normal(size=K)
    model = FoldModel(tuple(effects), sd**2)
    scores = rng.normal(size=(n, 1)) + effects + sd * rng.normal(size=(n, K))
    errors = np.empty(n)
    for i in range(n):
        seen = np.where(np.isin(np.arange(K), fold_order(i, K)[:n_seen]), scores[i], NAN)
        errors[i] = model.adjusted_mean(seen) - scores[i].mean()
    expected = sd**2 * (1 / n_seen - 1 / K)
    assert model.extra_variance(n_seen) == pytest.approx(expected, abs=1e-15)
    if n_seen == K:
        assert np.abs(errors).max() < 1e-12
    else:
        assert abs(errors.mean()) < 4 * math.sqrt(expected / n)
        assert abs(errors.var() - expected) < 4 * expected * math.sqrt(2 / n)


def test_estimated_effects_leave_the_adjusted_mean_unbiased() -> None:
    rng = np.random.default_rng(0)
    errors, raw_errors = [], []
    for _ in range(3000):
        table = rng.normal(size=(7, 1)) + np.arange(K) + 0.3 * rng.normal(size=(7, K))
        model = FoldModel.of([outcome(i, row) for i, row in enumerate(table[:6])])
        errors.append(model.adjusted_mean([table[6, 0], table[6, 1], NAN, NAN, NAN]) - table[6].mean())
        raw_errors.append(table[6, :2].mean() - table[6].mean())
    assert abs(np.mean(errors)) < 4 * np.std(errors) / math.sqrt(len(errors))
    assert abs(np.mean(raw_errors)) > 1.0  # what it is good for


def test_the_adjusted_mean_of_nothing_is_no_number() -> None:
    assert math.isnan(FoldModel((0.1, 0.2), 1.0).adjusted_mean([NAN, NAN]))


# --- the rules ------------------------------------------------------------------------------------

SCORES = st.integers(-20, 20).map(lambda i: i / 100)
"""On a coarse grid: ties are frequent, as with accuracies."""


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Outcome], list[float]]:
    """Outcomes of all kinds, and a trial of which some folds have been seen."""
    k = draw(st.integers(2, 6))
    table = draw(st.lists(st.lists(SCORES, min_size=k, max_size=k), min_size=4, max_size=10))
    kinds = draw(st.lists(st.sampled_from(["ok", "ok", "ok", "pruned", "failed"]), min_size=10, max_size=10))
    outcomes = []
    for number, (scores, kind) in enumerate(zip(table[1:], kinds, strict=False)):
        n_seen = k if kind == "ok" else draw(st.integers(1, k - 1))
        seen = fold_order(number, k)[:n_seen]
        seen_scores = [score if fold in seen else NAN for fold, score in enumerate(scores)]
        outcomes.append(outcome(number, seen_scores, failed=kind == "failed"))
    folds = draw(st.sets(st.integers(0, k - 1), min_size=1, max_size=k - 1))
    return outcomes, [score if fold in folds else NAN for fold, score in enumerate(table[0])]


def test_no_rule_stops_a_trial_of_which_nothing_or_everything_is_seen() -> None:
    for k in (1, 2, K):
        history = history_of([outcome(i, [0.5 + 0.01 * i] * k) for i in range(4)])
        for rule in (PairedRule.of(history, ANY), MedianRule.of(history, ANY)):
            assert not rule.stops([NAN] * k)
            assert not rule.stops([0.0] * k)


@settings(max_examples=500)
@given(situation=situations())
def test_the_paired_rule_is_the_formula(situation: tuple[list[Outcome], list[float]]) -> None:
    outcomes, trial = situation
    rule = PairedRule.of(history_of(outcomes), ANY)
    complete = [o for o in outcomes if not math.isnan(o.score) and not any(map(math.isnan, o.fold_scores))]
    table = np.array(sorted({o.fold_scores for o in complete}))
    if len(table) < 3:
        assert rule is None
        return
    order = sorted(range(len(table)), key=lambda i: -table[i].mean())
    incumbent = max(complete, key=lambda o: o.score).fold_scores
    seen = [k for k, score in enumerate(trial) if not math.isnan(score)]
    d = np.mean([trial[k] - incumbent[k] for k in seen])
    halves = [table[order[: max(3, math.ceil(len(table) / 2))]]]
    resolution = min((abs(a - b) for a, b in itertools.pairwise(sorted(set(table.ravel())))), default=0.0)
    s2 = max(additive_fit_variance(halves[0]), resolution**2, (1e-7 * np.abs(halves[0]).max()) ** 2)
    se = math.sqrt(2 * s2 * (1 / len(seen) - 1 / len(trial)))
    chance = norm.cdf(d / se) if se > 0 else 0.5 * (1 + np.sign(d))
    assert rule.stops(trial) == (chance < ALPHA and 5 * len(seen) >= len(trial))


def test_of_two_equal_trials_the_earlier_is_the_one_to_beat() -> None:
    tied = [outcome(i, scores) for i, scores in enumerate([[0.1, 0.2], [0.3, 0.5], [0.5, 0.3], [0.2, 0.2]])]
    assert PairedRule.of(history_of(tied), ANY).rival == (0.3, 0.5)
    late = History()
    for told in tied:
        late.asked(told.evaluation)
    for told in reversed(tied):
        late.told(told)
    assert PairedRule.of(late, ANY).rival == (0.3, 0.5)


@given(situation=situations(), data=st.data())
def test_the_best_complete_trial_is_never_stopped_by_the_paired_rule(situation: Any, data: st.DataObject) -> None:
    outcomes, _ = situation
    rule = PairedRule.of(history_of(outcomes), ANY)
    if rule is None:
        return
    best = max((o for o in outcomes if o.status == "ok"), key=lambda o: o.score).fold_scores
    seen = data.draw(st.sets(st.integers(0, len(best) - 1)))
    better = data.draw(st.floats(0, 1))
    assert not rule.stops([score + better if fold in seen else NAN for fold, score in enumerate(best)])


@given(situation=situations())
def test_the_median_rule_compares_running_means_at_the_same_number_of_folds(
    situation: tuple[list[Outcome], list[float]],
) -> None:
    outcomes, trial = situation
    rule = MedianRule.of(history_of(outcomes), ANY)
    complete = [o for o in outcomes if o.status == "ok"]
    if len({o.fold_scores for o in complete}) < 3:
        assert rule is None
        return
    k = len(trial)
    b = np.median([o.fold_scores for o in complete], axis=0)
    n_seen = int(np.sum(~np.isnan(trial)))
    others = []
    for o in outcomes:
        if o.status != "failed":
            folds = [f % k for f in range(o.evaluation.trial.number, o.evaluation.trial.number + k)]
            first = [f for f in folds if not np.isnan(o.fold_scores[f])][:n_seen]
            if len(first) == n_seen:
                others.append(np.mean([o.fold_scores[f] - b[f] for f in first]))
    mine = np.nanmean(np.array(trial) - b)
    assert rule.stops(trial) == (mine < np.median(others) - 1e-9)


@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0])
def test_the_winner_of_full_cross_validation_is_seldom_stopped(spread: float) -> None:
    rng = np.random.default_rng(int(10 * spread))
    n_searches, n_trials, lost, folds = 1000, 20, 0, 0
    for _ in range(n_searches):
        table = spread * rng.normal(size=(n_trials, 1)) + rng.normal(size=(1, K)) + rng.normal(size=(n_trials, K))
        history, stopped = History(), set()
        for number, row in enumerate(table):
            rule, seen = PairedRule.of(history, ANY), [NAN] * K
            for fold in fold_order(number, K):
                seen[fold] = row[fold]
                folds += 1
                if rule is not None and rule.stops(seen):
                    stopped.add(number)
                    break
            history.asked(Evaluation(Trial(number, {})))
            history.told(outcome(number, seen))
        lost += int(np.argmax(table.mean(axis=1))) in stopped
    assert lost / n_searches <= 2 * ALPHA
    assert folds < 0.8 * n_searches * n_trials * K


def test_fold_orders_are_rotations_that_begin_everywhere() -> None:
    orders = [fold_order(number, K) for number in range(2 * K)]
    assert all(sorted(order) == list(range(K)) for order in orders)
    assert all((after - before) % K == 1 for order in orders for before, after in itertools.pairwise(order))
    assert [order[0] for order in orders] == 2 * list(range(K))


def test_the_status_says_what_happened() -> None:
    assert outcome(0, [0.1, 0.2]).status == "ok"
    assert outcome(0, [0.1, NAN]).status == "pruned"
    assert outcome(0, [0.1, NAN], failed=True).status == "failed"


def test_ranks_put_complete_trials_before_pruned_ones_before_failed_ones() -> None:
    rows = [outcome(0, [0.1, 0.1]), outcome(1, [0.9, NAN]), outcome(2, [0.95, NAN]), outcome(3, [0.3, 0.3])]
    rows += [outcome(4, [0.9, NAN], failed=True), outcome(5, [0.3, 0.3])]
    given_ranks = ranks(rows, np.array([0.1, 0.9, 0.95, 0.3, 5.0, 0.3]), [0] * 6)
    assert given_ranks.tolist() == [3, 5, 4, 1, 6, 1]


# --- the engine -------------------------------------------------------------------------------------


def score_of(job: Job) -> float:
    """Some trials are good, all folds differ, and there is noise."""
    number = job.evaluation.trial.number
    rng = np.random.default_rng([number, job.fold])
    return float(np.random.default_rng(number).normal() + job.fold + 0.3 * rng.normal())


def measure(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [{"test_scores": score_of(job), "fit_time": 1.0, "score_time": 0.0} for job in jobs]


class Simulated:
    """A pool on which what is under way ends in a chosen order; it writes down what was run."""

    def __init__(self, n_workers: int, choose: Callable[[int], int], run: Any = measure) -> None:
        self.n_workers, self._choose, self._run = n_workers, choose, run
        self._capacity = 1 if n_workers == 1 else 2 * n_workers
        self.under_way: list[Sequence[Job]] = []
        self.jobs: list[Job] = []
        self.most_running = 0

    @property
    def free(self) -> int:
        return self._capacity - len(self.under_way)

    @property
    def n_under_way(self) -> int:
        return len(self.under_way)

    @property
    def idle(self) -> bool:
        return not self.under_way

    def submit(self, unit: Sequence[Job]) -> None:
        self.under_way.append(unit)
        self.jobs += unit
        self.most_running = max(self.most_running, len(self.under_way))

    def next_done(self) -> list[FoldScore]:
        # At most n_workers run at a time, in the order of submission; one of these ends.
        unit = self.under_way.pop(self._choose(min(self.n_workers, len(self.under_way))))
        return [FoldScore(job=job, **raw) for job, raw in zip(unit, self._run(unit), strict=True)]


class Learning:
    """A sampler whose suggestion depends on all it could know."""

    def suggest(self, history: History, rng: np.random.Generator) -> Params:
        return {"draw": float(rng.random()), "known": [(o.score, o.fold_scores) for o in history.outcomes]}


def simulate(
    pool: Simulated, delivery: Delivery, *, n_trials: int, rule_of: RuleOf | None = PairedRule.of, sampler: Any = None
) -> History:
    history, scheduler = History(), FullScheduler(sampler or Learning(), n_trials)
    desk = Desk(scheduler, history, n_folds=K, objective=float, entropy=1, delivery=delivery, rule_of=rule_of)
    assert run_search(scheduler, pool, history, desk) == "budget"  # type: ignore[arg-type]
    assert len(history.outcomes) == n_trials
    return history


def seen_by(told: Outcome) -> list[int]:
    return [fold.job.fold for fold in told.folds]


@pytest.mark.parametrize("rule_of", [PairedRule.of, MedianRule.of, None])
@given(data=st.data(), n_workers=st.integers(2, 6), n_trials=st.integers(1, 25))
def test_whatever_the_order_of_arrival_the_same_folds_count(
    rule_of: RuleOf | None, data: st.DataObject, n_workers: int, n_trials: int
) -> None:
    """And whether a unit waits at the workers, or not."""
    delivery, histories = Delivery.in_order(n_workers), []
    for share, choose in ((1e9, lambda n: 0), (-1.0, lambda n: data.draw(st.integers(0, n - 1)))):
        with mock.patch("sksearch.execution.NOTICEABLE_SHARE", share):
            histories.append(simulate(Simulated(n_workers, choose), delivery, n_trials=n_trials, rule_of=rule_of))
    first, second = histories
    for a, b in zip(first.outcomes, second.outcomes, strict=True):
        assert a.evaluation.trial.params == b.evaluation.trial.params
        assert repr((a.score, a.fold_scores, a.status, seen_by(a))) == repr(
            (b.score, b.fold_scores, b.status, seen_by(b))
        )


@given(data=st.data(), n_workers=st.integers(1, 6), ordered=st.booleans())
def test_every_decision_is_what_the_rule_says_of_the_folds_that_count(
    data: st.DataObject, n_workers: int, ordered: bool
) -> None:
    delivery = Delivery.in_order(n_workers) if ordered else Delivery.on_arrival()
    pool = Simulated(n_workers, lambda n: data.draw(st.integers(0, n - 1)))
    history = simulate(pool, delivery, n_trials=20)
    assert len(pool.jobs) == len(set(pool.jobs))
    for told in history.outcomes:
        number = told.evaluation.trial.number
        seen = seen_by(told)
        truth = [score_of(Job(told.evaluation, fold)) if fold in seen else NAN for fold in range(K)]
        assert repr(told.fold_scores) == repr(tuple(truth))
        assert told.status == ("ok" if len(seen) == K else "pruned")
        if not ordered:
            continue
        assert set(seen) == set(fold_order(number, K)[: len(seen)])
        rule = PairedRule.of(history_of(history.outcomes[: max(0, number - n_workers + 1)]), ANY)
        for n_seen in range(1, len(seen) + 1):
            first = fold_order(number, K)[:n_seen]
            looked_at = [truth[fold] if fold in first else NAN for fold in range(K)]
            assert (rule is not None and rule.stops(looked_at)) == (n_seen == len(seen) < K)
        if told.status == "pruned":
            assert told.score == rule.model.adjusted_mean(told.fold_scores)


def test_one_worker_runs_the_folds_that_count_and_no_other() -> None:
    for delivery in (Delivery.in_order(1), Delivery.on_arrival()):
        pool = Simulated(1, lambda n: 0)
        history = simulate(pool, delivery, n_trials=40)
        ran = [(told.evaluation.trial.number, fold) for told in history.outcomes for fold in seen_by(told)]
        assert sorted((job.evaluation.trial.number, job.fold) for job in pool.jobs) == sorted(ran)
        assert len(ran) < 0.7 * 40 * K


@given(data=st.data(), n_workers=st.integers(2, 6), ordered=st.booleans())
def test_workers_are_busy_and_few_folds_are_run_for_nothing(data: st.DataObject, n_workers: int, ordered: bool) -> None:
    delivery = Delivery.in_order(n_workers) if ordered else Delivery.on_arrival()
    pool = Simulated(n_workers, lambda n: data.draw(st.integers(0, n - 1)))
    idle, next_done = [], pool.next_done

    def watched() -> list[FoldScore]:
        idle.append(n_workers - len(pool.under_way))
        return next_done()

    pool.next_done = watched  # type: ignore[method-assign]
    history = simulate(pool, delivery, n_trials=20)
    # A worker waits only at the end, when all that is left of the last trials is running.
    if not ordered:
        first_idle = next(index for index, n in enumerate([*idle, 1]) if n > 0)
        assert len(idle) - first_idle <= n_workers
    counted = sum(len(told.folds) for told in history.outcomes)
    assert counted <= len(pool.jobs) < 20 * K
    assert pool.most_running <= 2 * n_workers


@pytest.mark.parametrize(("n_workers", "most"), [(2, 0.1), (4, 0.3)])
@pytest.mark.parametrize("ordered", [False, True])
def test_new_trials_come_before_folds_that_may_be_superfluous(ordered: bool, n_workers: int, most: float) -> None:
    delivery = Delivery.in_order(n_workers) if ordered else Delivery.on_arrival()
    pool = Simulated(n_workers, lambda n: 0)
    history = simulate(pool, delivery, n_trials=40)
    counted = sum(len(told.folds) for told in history.outcomes)
    assert len(pool.jobs) <= (1 + most) * counted


def test_nothing_waits_at_the_workers_before_a_fit_was_timed() -> None:
    """Nobody knows yet that fits are short: a long one would keep the third trial from what the first two tell."""
    scheduler = FullScheduler(FixedSampler([{"a": i} for i in range(3)]))
    desk = Desk(scheduler, History(), n_folds=1, objective=float, entropy=0, delivery=Delivery.on_arrival())
    first, _ = desk.next_unit(2, 0), desk.next_unit(2, 1)
    assert desk.next_unit(2, 2) == []
    desk.collect(FoldScore(job=first[0], test_scores=0.5, fit_time=1e-9, score_time=0.0))
    assert len(desk.next_unit(2, 2)) == 1


class Slow(Learning):
    def suggest(self, history: History, rng: np.random.Generator) -> Params:
        time.sleep(0.01)
        return super().suggest(history, rng)


@pytest.mark.parametrize(("fit_time", "waiting"), [(60.0, 0), (0.06, 1)])
def test_where_deciding_takes_long_one_unit_waits_at_the_workers(fit_time: float, waiting: int) -> None:
    """And no fold that may be superfluous is among those that wait."""
    n_workers, under_way = 3, []
    pool = Simulated(n_workers, lambda n: 0, lambda unit: [{**raw, "fit_time": fit_time} for raw in measure(unit)])
    next_done = pool.next_done

    def watched() -> list[FoldScore]:
        under_way.append(len(pool.under_way))
        return next_done()

    pool.next_done = watched  # type: ignore[method-assign]
    history = simulate(pool, Delivery.on_arrival(), n_trials=40, sampler=Slow())
    pruned_from = FEWEST_COMPLETE * K + n_workers  # before, all folds of a trial go out together
    assert set(under_way[pruned_from : -K * n_workers]) == {n_workers + waiting}
    assert len(pool.jobs) <= 1.1 * sum(len(told.folds) for told in history.outcomes)


@pytest.mark.parametrize("ordered", [False, True])
def test_as_long_as_nothing_can_be_stopped_all_folds_of_a_trial_go_first(ordered: bool) -> None:
    delivery = Delivery.in_order(4) if ordered else Delivery.on_arrival()
    pool = Simulated(4, lambda n: 0)
    simulate(pool, delivery, n_trials=9)
    first_three = [(job.evaluation.trial.number, job.fold) for job in pool.jobs[: 3 * K]]
    assert first_three == [(number, fold) for number in range(3) for fold in fold_order(number, K)]


class StopAfter:
    """Stops every trial after so many folds; knows nothing of a history."""

    model = FoldModel((0.0,) * K, 0.0)

    def __init__(self, n_folds: int) -> None:
        self._n_folds = n_folds

    def stops(self, fold_scores: Sequence[float]) -> bool:
        return int(np.sum(~np.isnan(fold_scores))) == self._n_folds


def test_a_rule_may_be_a_users_own() -> None:
    rule: FoldRule = StopAfter(2)
    for n_workers in (1, 3):
        for delivery in (Delivery.in_order(n_workers), Delivery.on_arrival()):
            history = simulate(Simulated(n_workers, lambda n: 0), delivery, n_trials=9, rule_of=lambda *_: rule)
            assert {len(told.folds) for told in history.outcomes} == {2}
            for told in history.outcomes:
                assert told.score == pytest.approx(np.nanmean(told.fold_scores))


def fail_now_and_then(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [
        {**raw, "error": "no" if job.evaluation.trial.number % 4 == 1 and job.fold == 2 else None}
        for job, raw in zip(jobs, measure(jobs), strict=True)
    ]


@given(data=st.data(), n_workers=st.integers(1, 4))
def test_after_a_failed_fold_the_others_are_not_needed(data: st.DataObject, n_workers: int) -> None:
    pool = Simulated(n_workers, lambda n: data.draw(st.integers(0, n - 1)), fail_now_and_then)
    history = simulate(pool, Delivery.in_order(n_workers), n_trials=14)
    for told in history.outcomes:
        number, seen = told.evaluation.trial.number, seen_by(told)
        if number % 4 == 1 and 2 in seen:
            assert told.status == "failed"
            assert math.isnan(told.score)
            assert math.isnan(told.fold_scores[2])
            assert set(seen) == set(fold_order(number, K)[: fold_order(number, K).index(2) + 1])
        else:
            assert told.status != "failed"
    assert history.outcomes[1].status == "failed"


def test_a_rule_needs_a_delivery_that_waits_for_outcomes() -> None:
    with pytest.raises(ValueError, match=r"Delivery\.fixed"):
        Desk(
            FullScheduler(FixedSampler([]), 1),
            History(),
            n_folds=2,
            objective=float,
            entropy=0,
            delivery=Delivery.fixed(),
            rule_of=PairedRule.of,
        )


def die_once_in_a_while(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    if any(job.evaluation.trial.number == 6 and job.fold == 3 for job in jobs):
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(jobs)


def test_a_dead_worker_fails_its_trial_and_loses_no_other() -> None:
    runs = []
    for _ in range(2):
        history, scheduler = History(), FullScheduler(FixedSampler([{}] * 15), 15)
        delivery = Delivery.in_order(2)
        with joblib.parallel_config(backend="loky"), JobPool(die_once_in_a_while, n_jobs=2) as pool:
            desk = Desk(
                scheduler, history, n_folds=K, objective=float, entropy=0, delivery=delivery, rule_of=StopAfterThree
            )
            run_search(scheduler, pool, history, desk)
        assert [told.evaluation.trial.number for told in history.outcomes] == list(range(15))
        runs.append([(told.status, repr(told.fold_scores)) for told in history.outcomes])
    # Trial 6 begins with fold 1, so fold 3 is the third it runs.
    assert [number for number, (status, _) in enumerate(runs[0]) if status == "failed"] == [6]
    assert runs[0] == runs[1]


def StopAfterThree(history: History, evaluation: Evaluation) -> FoldRule:  # noqa: N802 - made like the classes
    return StopAfter(3)


# --- the search -------------------------------------------------------------------------------------


class Noisy(ClassifierMixin, BaseEstimator):
    """Its score has an optimum, differs from fold to fold, and is a little noisy; it notes every fit in a file."""

    def __init__(self, a: float = 0.5, b: str = "x", file: str = "", pause: float = 0.0) -> None:
        self.a, self.b, self.file, self.pause = a, b, file, pause

    def fit(self, X: Any, y: Any) -> Noisy:
        self.classes_ = np.unique(y)
        time.sleep(self.pause * np.random.default_rng().random())
        if self.file:
            with Path(self.file).open("ab") as file:
                file.write(b".")
        return self

    def predict(self, X: Any) -> Any:
        return np.resize(self.classes_, len(X))

    def score(self, X: Any, y: Any) -> float:
        where = float(np.abs(X[0, 0]))
        noise = np.random.default_rng([int(1e6 * where), int(1e9 * self.a)]).normal()
        return -((self.a - 0.3) ** 2) + 0.1 * (self.b == "y") + 0.05 * where + 0.01 * noise


SPACE = {"a": uniform(0, 1), "b": ["x", "y", "z"]}


def untimed(results: dict[str, Any]) -> str:
    return repr({key: np.asarray(value).tolist() for key, value in results.items() if "time" not in key})


def split_table(results: dict[str, Any], name: str = "test_score", k: int = K) -> np.ndarray:
    return np.array([results[f"split{fold}_{name}"] for fold in range(k)]).T


@pytest.mark.parametrize("prune_folds", [True, "median"])
def test_a_seeded_search_is_the_same_on_threads_and_processes_whatever_the_fits_take(prune_folds: Any) -> None:
    seen = set()
    for backend, pause in (("threading", 0.02), ("loky", 0.02), ("threading", 0.0), ("threading", 0.05)):
        search = BayesSearchCV(
            Noisy(pause=pause),
            SPACE,
            n_iter=20,
            n_jobs=2,
            random_state=3,
            n_initial_points=14,  # spread over the space: some of them are bad
            prune_folds=prune_folds,
        )
        with joblib.parallel_config(backend=backend):
            search.fit(X, Y)
        seen.add((untimed(search.cv_results_), repr(search.best_params_), search.stop_reason_))
        assert "pruned" in search.cv_results_["status"]
    assert len(seen) == 1


@pytest.mark.parametrize("random_state", [0, None])
@pytest.mark.parametrize("prune_folds", [True, "median", False])
def test_one_worker_fits_nothing_beyond_the_decision(prune_folds: Any, random_state: Any, tmp_path: Path) -> None:
    file = tmp_path / "fits"
    search = BayesSearchCV(
        Noisy(file=str(file)),
        SPACE,
        n_iter=15,
        refit=False,
        random_state=random_state,
        n_initial_points=14,  # spread over the space: some of them are bad
        prune_folds=prune_folds,
    )
    results = search.fit(X, Y).cv_results_
    assert file.stat().st_size == results["n_splits_done"].sum()
    assert (file.stat().st_size < 15 * K) == bool(prune_folds)


@pytest.mark.parametrize("random_state", [0, None])
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("prune_folds", [True, "median"])
def test_the_table_shows_what_was_seen(prune_folds: Any, n_jobs: int, random_state: Any) -> None:
    search = BayesSearchCV(
        Noisy(),
        SPACE,
        n_iter=20,
        n_jobs=n_jobs,
        random_state=random_state,
        n_initial_points=14,  # spread over the space: some of them are bad
        prune_folds=prune_folds,
    )
    with joblib.parallel_config(backend="threading"), warnings.catch_warnings():
        warnings.simplefilter("error")  # nan of folds that were not run are nothing to warn of
        results = search.fit(X, Y).cv_results_
    table, status = split_table(results), results["status"]
    assert set(status) == {"ok", "pruned"}
    np.testing.assert_array_equal((~np.isnan(table)).sum(axis=1), results["n_splits_done"])
    np.testing.assert_array_equal(results["n_splits_done"] == K, status == "ok")
    medians = [statistics.median(column) for column in table[status == "ok"].T]
    for row, scores in enumerate(table):
        seen = [fold for fold in range(K) if not np.isnan(scores[fold])]
        truth = cross_validate(clone(search.estimator).set_params(**results["params"][row]), X, Y)["test_score"]
        np.testing.assert_array_equal(scores[seen], truth[seen])
        adjusted = np.mean([scores[fold] - medians[fold] for fold in seen]) + np.mean(medians)
        below = np.nextafter(max(results["mean_test_score"][status == "ok"]), -np.inf)
        expected = np.mean(scores) if len(seen) == K else min(adjusted, below)
        assert results["mean_test_score"][row] == pytest.approx(expected, rel=1e-12)
        assert results["std_test_score"][row] == pytest.approx(np.std(scores[seen]), abs=1e-15)
    for told in search.history_:
        row = told["trial"]
        assert told["status"] == status[row]
        assert told["n_splits_done"] == results["n_splits_done"][row]
        assert results["mean_fit_time"][row] == pytest.approx(told["fit_time"] / told["n_splits_done"])


@pytest.mark.parametrize("prune_folds", [True, "median"])
def test_the_best_is_a_complete_trial_and_ranks_say_so(prune_folds: Any) -> None:
    for seed in range(4):
        search = BayesSearchCV(Noisy(), SPACE, n_iter=20, random_state=seed, prune_folds=prune_folds).fit(X, Y)
        results = search.cv_results_
        ok, rank = results["status"] == "ok", results["rank_test_score"]
        assert ok[search.best_index_]
        assert search.best_score_ == results["mean_test_score"][ok].max()
        assert rank[search.best_index_] == 1
        assert rank[ok].max() < rank[~ok].min()
        order = np.argsort(rank[~ok], kind="stable")
        assert np.all(np.diff(results["mean_test_score"][~ok][order]) <= 0)


def test_a_callable_refit_decides_for_itself() -> None:
    search = BayesSearchCV(
        Noisy(), SPACE, n_iter=15, random_state=0, refit=lambda results: list(results["status"]).index("pruned")
    ).fit(X, Y)
    assert search.cv_results_["status"][search.best_index_] == "pruned"
    assert search.best_estimator_.a == search.cv_results_["params"][search.best_index_]["a"]


def two_metrics(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    return {"first": estimator.score(X, y), "second": 3.0 - 2.0 * estimator.score(X, y) + float(X[0, 1])}


@pytest.mark.parametrize("as_dict", [False, True])
def test_every_metric_is_adjusted_by_its_own_folds(as_dict: bool) -> None:
    scoring: Any = two_metrics
    if as_dict:
        scoring = {name: lambda e, X, y, name=name: two_metrics(e, X, y)[name] for name in ("first", "second")}
    search = BayesSearchCV(
        Noisy(), SPACE, n_iter=20, random_state=0, scoring=scoring, refit="first", return_train_score=True
    ).fit(X, Y)
    plain = BayesSearchCV(Noisy(), SPACE, n_iter=20, random_state=0, return_train_score=True).fit(X, Y)
    assert search.cv_results_["params"] == plain.cv_results_["params"]
    results, partial = search.cv_results_, search.cv_results_["n_splits_done"] < K
    assert partial.any()
    for name in ("test_first", "test_second", "train_first", "train_second"):
        table = split_table(results, name)
        np.testing.assert_array_equal(np.isnan(table), np.isnan(split_table(plain.cv_results_)))
        medians = np.median(table[~partial], axis=0)
        expected = np.nanmean(table[partial] - medians, axis=1) + medians.mean()
        if name.startswith("test_"):
            expected = np.minimum(expected, np.nextafter(results[f"mean_{name}"][~partial].max(), -np.inf))
        np.testing.assert_allclose(results[f"mean_{name}"][partial], expected, rtol=1e-12)
        np.testing.assert_allclose(results[f"std_{name}"][partial], np.nanstd(table[partial], axis=1), rtol=1e-9)
    for name in ("first", "second"):
        rank = results[f"rank_test_{name}"]
        assert rank[~partial].max() < rank[partial].min()
    assert search.best_index_ == plain.best_index_


class FailsOnSome(Noisy):
    """Raises on one of the folds when `a` is small; does not score on one when it is large."""

    def fit(self, X: Any, y: Any) -> FailsOnSome:
        if self.a < 0.2 and not np.any(X[:, 0] == globals()["X"][0, 0]):
            raise ValueError("this fold fails")
        return super().fit(X, y)


@pytest.mark.parametrize("error_score", [np.nan, 5.0])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_failed_folds_hold_error_score_and_skipped_ones_nan(n_jobs: int, error_score: float) -> None:
    search = BayesSearchCV(
        FailsOnSome(),
        SPACE,
        n_iter=30,
        n_jobs=n_jobs,
        random_state=1,
        initial_params=[{"a": 0.05}, {"a": 0.1}],  # before anything can be stopped
        error_score=error_score,
        cv=KFold(K),
    )
    with joblib.parallel_config(backend="threading"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = search.fit(X, Y).cv_results_
    table, failed = split_table(results), results["status"] == "failed"
    assert failed.any()
    for row in np.flatnonzero(failed):
        order = fold_order(row, K)
        last = order.index(0)  # the fold that holds out the row without which the fit fails
        assert results["param_a"][row] < 0.2
        assert results["n_splits_done"][row] == last + 1
        np.testing.assert_equal(table[row, 0], error_score)
        assert np.isnan(table[row, order[last + 1 :]]).all()
        np.testing.assert_allclose(results["mean_test_score"][row], table[row, order[: last + 1]].mean())
    told = [str(w.message) for w in caught if issubclass(w.category, FitFailedWarning)]
    ran = results["n_splits_done"].sum()
    assert len(told) == 1
    assert f"{failed.sum()} fits failed out of a total of {ran}" in told[0]
    assert results["rank_test_score"][failed].min() > results["rank_test_score"][~failed].max()


def test_error_score_raise_raises_what_a_fold_raised() -> None:
    search = BayesSearchCV(FailsOnSome(), {"a": uniform(0, 0.1)}, n_iter=5, error_score="raise", cv=KFold(K))
    with pytest.raises(ValueError, match="this fold fails"):
        search.fit(X, Y)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_without_pruning_every_row_is_scikit_learns(n_jobs: int) -> None:
    space = {"C": (1e-2, 1e2, "log-uniform"), "kernel": ["rbf", "linear"]}
    search = BayesSearchCV(SVC(), space, n_iter=12, n_jobs=n_jobs, random_state=0, prune_folds=False).fit(X, Y)
    results = search.cv_results_
    assert set(results["status"]) == {"ok"}
    grid = [{name: [value] for name, value in params.items()} for params in results["params"]]
    theirs = sk.GridSearchCV(SVC(), grid).fit(X, Y).cv_results_
    for key in theirs:
        if key.startswith(("split", "mean_test", "std_test", "rank")):
            np.testing.assert_array_equal(results[key], theirs[key], err_msg=key)


def test_pruning_is_on_by_default_and_spends_fewer_fits_for_as_good_a_result() -> None:
    found: dict[bool, list[float]] = {True: [], False: []}
    fits = {True: 0, False: 0}
    for seed in range(5):
        for search in (BayesSearchCV(Noisy(), SPACE), BayesSearchCV(Noisy(), SPACE, prune_folds=False)):
            search.set_params(n_iter=25, random_state=seed).fit(X, Y)
            found[search.prune_folds].append(search.best_score_)
            fits[search.prune_folds] += int(search.cv_results_["n_splits_done"].sum())
    assert fits[True] < 0.7 * fits[False]
    assert np.mean(found[True]) > np.mean(found[False]) - 0.01  # the noise of one fold


@pytest.mark.parametrize("cv", [2, [(np.arange(60), np.arange(60, 90))]])
def test_one_or_two_folds_are_enough(cv: Any) -> None:
    search = BayesSearchCV(Noisy(), SPACE, n_iter=12, cv=cv, random_state=0).fit(X, Y)
    n_splits = search.n_splits_
    assert ("pruned" in search.cv_results_["status"]) == (n_splits == 2)
    assert search.cv_results_["n_splits_done"][search.best_index_] == n_splits


def test_verbose_says_that_the_number_of_fits_is_a_bound(capsys: pytest.CaptureFixture[str]) -> None:
    BayesSearchCV(Noisy(), SPACE, n_iter=4, verbose=1).fit(X, Y)
    assert "totalling at most 20 fits" in capsys.readouterr().out
    BayesSearchCV(Noisy(), SPACE, n_iter=4, verbose=1, prune_folds=False).fit(X, Y)
    assert "totalling 20 fits" in capsys.readouterr().out


class Tasks:
    """A callback of scikit-learn >= 1.9 that counts the fits it hears of."""

    def __init__(self) -> None:
        self.begun, self.ended = 0, 0

    def setup(self, estimator: Any, context: Any) -> None:
        pass

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.begun += context.task_name == "candidate-split-evaluation"

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        self.ended += context.task_name == "candidate-split-evaluation"

    def teardown(self, estimator: Any, context: Any) -> None:
        pass


@pytest.mark.parametrize("n_jobs", [1, 2] if hasattr(BayesSearchCV, "set_callbacks") else [])
def test_callbacks_hear_of_every_fit_and_of_its_end(n_jobs: int, tmp_path: Path) -> None:
    tasks, file = Tasks(), tmp_path / "fits"
    search = BayesSearchCV(Noisy(file=str(file)), SPACE, n_iter=15, n_jobs=n_jobs, refit=False, random_state=0)
    with joblib.parallel_config(backend="threading"):
        results = search.set_callbacks(tasks).fit(X, Y).cv_results_
    assert tasks.begun == tasks.ended == file.stat().st_size
    assert results["n_splits_done"].sum() <= tasks.begun < 15 * K


# --- Ctrl-C -----------------------------------------------------------------------------------------


class Interrupted(Noisy):
    """Ctrl-C arrives with the fortieth fit."""

    n_fits = 0

    def fit(self, X: Any, y: Any) -> Interrupted:
        Interrupted.n_fits += 1
        if Interrupted.n_fits == 40:
            raise KeyboardInterrupt
        return super().fit(X, y)


def test_ctrl_c_keeps_every_decided_trial() -> None:
    Interrupted.n_fits = 0
    search = BayesSearchCV(Interrupted(), SPACE, n_iter=100, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    whole = BayesSearchCV(Noisy(), SPACE, n_iter=100, random_state=0, refit=False)
    kept = search.cv_results_
    n = len(kept["params"])
    assert search.stop_reason_ == "interrupted"
    assert "pruned" in kept["status"]
    assert 39 - K < kept["n_splits_done"].sum() <= 39
    assert kept["status"][search.best_index_] == "ok"
    uninterrupted = whole.fit(X, Y).cv_results_
    np.testing.assert_array_equal(split_table(kept), split_table(uninterrupted)[:n])


def test_sigint_stops_a_search_that_prunes(tmp_path: Path) -> None:
    code = """
    import sys, time, numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sksearch import BayesSearchCV
    class Slow(ClassifierMixin, BaseEstimator):
        def __init__(self, a=0.0, file=""):
            self.a, self.file = a, file
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            time.sleep(0.02)
            with open(self.file, "ab") as file:
                file.write(b".")
            return self
        def score(self, X, y):
            return self.a
    if __name__ == "__main__":
        search = BayesSearchCV(Slow(file=sys.argv[1]), {"a": (0.0, 1.0)}, cv=4, n_jobs=2, n_iter=4000, random_state=0)
        try:
            search.fit(np.zeros((20, 2)), [0, 1] * 10)
        except KeyboardInterrupt:
            results = search.cv_results_
            print("kept", results["n_splits_done"].sum(), results["status"][search.best_index_], flush=True)
            print(*results["status"])
    """
    log = tmp_path / "fits"
    log.touch()
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while log.stat().st_size < 60 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert out.split()[0:1] == ["kept"], error
    kept, best, *status = out.split()[1:]
    fits = log.stat().st_size
    assert fits // 2 < int(kept) <= fits
    assert best == "ok"
    assert set(status) == {"ok", "pruned"}
    time.sleep(0.5)
    assert log.stat().st_size == fits  # no worker goes on


# --- what a review broke --------------------------------------------------------------------------


class Table(BaseEstimator):
    """Scores by parameter and fold, in twentieths; slow or failing where asked."""

    TWENTIETHS = {0: [16] * 5, 1: [16] * 5, 2: [16] * 5, 3: [18, 18, 18, 15, 18]}  # noqa: RUF012

    def __init__(self, c: int = 0) -> None:
        self.c = c

    def fit(self, X: Any, y: Any = None) -> Table:
        return self

    def score(self, X: Any, y: Any = None) -> float:
        return self.TWENTIETHS[self.c][int(X[0, 0])] / 20


def test_a_plateau_says_nothing_about_a_trial_that_differs() -> None:
    rows = np.repeat(np.arange(5.0), 2)[:, None]
    first = [{"c": 1}, {"c": 2}, {"c": 3}]
    search = BayesSearchCV(Table(), {"c": [0, 1, 2, 3]}, n_iter=4, cv=KFold(5), random_state=0, initial_params=first)
    full = sk.GridSearchCV(Table(), {"c": [0, 1, 2, 3]}, cv=KFold(5)).fit(rows)
    assert search.fit(rows).best_params_ == full.best_params_ == {"c": 3}


def test_scores_that_count_samples_have_at_least_their_resolution_as_deviation() -> None:
    table = [(0.80, 0.75, 0.80), (0.75, 0.70, 0.75), (0.85, 0.80, 0.85)]  # of twenty samples each, all additive
    model = FoldModel.of([outcome(i, row) for i, row in enumerate(table)])
    assert model is not None
    assert model.variance == pytest.approx(0.05**2)
    assert not PairedRule(model, table[2]).stops((0.80, NAN, NAN))  # one sample less


def test_a_few_samples_of_many_folds_stop_nothing() -> None:
    rng = np.random.default_rng(0)
    history = history_of([outcome(i, (rng.random(50) < 0.8).astype(float).tolist()) for i in range(5)])
    rule = PairedRule.of(history, ANY)
    assert rule is not None
    for n_seen in range(1, 10):
        assert not rule.stops([0.0] * n_seen + [NAN] * (50 - n_seen))
    assert rule.stops([0.0] * 10 + [NAN] * 40)


class RaisesOnAFold(BaseEstimator):
    def __init__(self, a: float = 0.9, pause: float = 0.0) -> None:
        self.a = a
        self.pause = pause

    def fit(self, X: Any, y: Any = None) -> RaisesOnAFold:
        fold = int(np.setdiff1d(range(5), X[:, 0].astype(int))[0])
        time.sleep(self.pause * ((7 * fold + int(100 * self.a)) % 5))
        if self.a < 0.5 and fold == 3:
            raise ValueError("fold 3 of a bad one")
        return self

    def score(self, X: Any, y: Any = None) -> float:
        return self.a + 0.001 * math.sin(1000 * self.a + X[0, 0])


@pytest.mark.parametrize("pause", [0.0, 0.005, 0.02])
def test_with_error_score_raise_no_fold_is_run_that_does_not_count(pause: float) -> None:
    """Whether such a fold was sent depends on timing, and the error of one would end the search."""
    rows = np.repeat(np.arange(5), 2)[:, None].astype(float)
    first = [{"a": a} for a in (0.95, 0.97, 0.8, 0.85, 0.75, 0.1)]
    search = BayesSearchCV(
        RaisesOnAFold(pause=pause),
        {"a": (0.0, 1.0)},
        n_iter=7,
        cv=KFold(5),
        random_state=0,
        n_jobs=4,
        refit=False,
        error_score="raise",
        initial_params=first,
    )
    with joblib.parallel_config(backend="threading"):
        search.fit(rows)
    bad = [params["a"] < 0.5 for params in search.cv_results_["params"]]
    assert search.cv_results_["status"][bad].tolist() == ["pruned"] * sum(bad)


@pytest.mark.parametrize("seed", range(6))
def test_no_mean_of_a_pruned_trial_is_above_the_best_complete_one(seed: int) -> None:
    noisy = X + 1.2 * np.random.default_rng(seed).normal(size=X.shape)
    space = {"C": (1e-3, 1e3, "log-uniform"), "gamma": (1e-4, 1e1, "log-uniform")}
    seen = []

    def largest(results: dict[str, Any]) -> int:
        return int(np.argmax(results["mean_test_score"]))

    search = BayesSearchCV(SVC(), space, n_iter=20, random_state=seed, prune_folds="median", refit=largest)
    search.fit(noisy, Y, callback=seen.append)
    assert search.cv_results_["status"][search.best_index_] == "ok"
    for result in seen:
        assert result.fun == result.func_vals.min()
        assert result.x == result.x_iters[int(np.argmin(result.func_vals))]
