"""Folds spared in rungs: against the same search with all folds, closed forms, and scikit-learn's own scores."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import randint, uniform
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from sksearch import HyperbandSearchCV
from sksearch.execution import Delivery, Desk, JobPool, run_search
from sksearch.folds import FoldModel
from sksearch.pruning import MedianRule, PairedRule, SpareUnpromoted, fold_order
from sksearch.samplers.bayes import BayesSampler
from sksearch.samplers.fixed import FixedSampler
from sksearch.schedulers.brackets import Bracket, Rung, asynchronous_brackets, synchronous_brackets
from sksearch.schedulers.hyperband import AshaScheduler, HyperbandScheduler, last_place
from sksearch.space import Real, Space
from sksearch.spool import Spool
from sksearch.trials import Evaluation, FoldScore, History, Job, Outcome, Trial
from sksearch.underway import UnderWay

NAN = math.nan
K = 4
EFFECTS = np.array([0.0, 30.0, -20.0, 7.0])
X, Y = load_iris(return_X_y=True)


def told(number: int, scores: tuple[float, ...], *, amount: int = 1, rung: int = 0) -> Outcome:
    seen = [score for score in scores if not math.isnan(score)]
    evaluation = Evaluation(Trial(number, {"x": number / 100}), n_resources=amount, rung=rung)
    return Outcome(evaluation=evaluation, folds=(), score=sum(seen) / len(seen), fold_scores=scores)


def fold_score_of(job: Job) -> FoldScore:
    return FoldScore(job=job, test_scores=0.5, fit_time=1.0, score_time=0.0)


def history_of(outcomes: list[Outcome]) -> History:
    history = History()
    for outcome in outcomes:
        history.asked(outcome.evaluation)
        history.told(outcome)
    return history


def run(
    scheduler: Any,
    score: Callable[[Job], float],
    *,
    prune: bool,
    after_each: Any = None,
    delivery: Delivery | None = None,
) -> History:
    """One worker, invented scores."""

    def work(jobs: Any) -> list[dict[str, Any]]:
        return [{"test_scores": score(job), "fit_time": 1.0, "score_time": 0.0} for job in jobs]

    history = History()
    desk = Desk(
        scheduler,
        history,
        n_folds=K,
        objective=float,
        entropy=0,
        delivery=delivery or Delivery.in_order(1),
        rule_of=SpareUnpromoted(scheduler) if prune else None,
        after_each=after_each,
    )
    with JobPool(work, n_jobs=1) as pool:
        run_search(scheduler, pool, history, desk)
    return history


def draws(seed: int) -> np.ndarray[Any, Any]:
    """A score for each trial and rung; all different, so that the order is never a tie."""
    return np.random.default_rng(seed).permuted(np.tile(np.arange(500.0), (6, 1)), axis=1).T


# --- who must be beaten -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), most=st.sampled_from([9, 27, 50]), factor=st.sampled_from([2, 3]))
def test_without_noise_published_brackets_promote_the_same_trials_with_fewer_folds(
    seed: int, most: int, factor: int
) -> None:
    table, brackets = draws(seed), synchronous_brackets(1, most, factor)

    def score(job: Job) -> float:
        return float(table[job.evaluation.trial.number, job.evaluation.rung] + EFFECTS[job.fold])

    def search(*, prune: bool) -> History:
        sampler = FixedSampler([{"x": 0}] * 500)
        return run(HyperbandScheduler(sampler, brackets), score, prune=prune)

    full, pruned = search(prune=False), search(prune=True)
    assert [(e.trial.number, e.n_resources) for e in pruned.evaluations] == [
        (e.trial.number, e.n_resources) for e in full.evaluations
    ]
    for whole, part in zip(full.outcomes, pruned.outcomes, strict=True):
        assert part.score == pytest.approx(whole.score, abs=1e-9) or part.status == "ok"
    assert sum(len(o.folds) for o in pruned.outcomes) < sum(len(o.folds) for o in full.outcomes)


@pytest.mark.parametrize(("noise", "share"), [(0.0, 0.7), (0.3, 0.75), (1.0, 0.9)])
def test_a_trial_that_the_full_rung_would_promote_is_seldom_spared(noise: float, share: float) -> None:
    """In the end the best third of a rung is promoted: here of 60 trials in random order."""
    rng, factor, n = np.random.default_rng(int(10 * noise)), 3, 60
    lost = promotable = folds = 0
    for _ in range(40):
        table = rng.normal(size=(n, 1)) + 5 * rng.normal(size=(1, K)) + noise * rng.normal(size=(n, K))
        best = set(np.argsort(-table.mean(axis=1))[: n // factor].tolist())
        scheduler = AshaScheduler(FixedSampler([]), asynchronous_brackets(1, 9, factor, n_candidates=n), robust=False)
        rules, outcomes = SpareUnpromoted(scheduler), []
        for number in range(n):
            evaluation, seen = Evaluation(Trial(number, {}), n_resources=1), [NAN] * K
            history = history_of(outcomes)
            history.asked(evaluation)
            rule = rules(history, evaluation)
            for fold in fold_order(number, K):
                seen[fold] = table[number, fold]
                folds += 1
                if rule is not None and rule.stops(seen):
                    break
            outcomes.append(told(number, tuple(seen)))
            outcomes[-1] = Outcome(
                evaluation=evaluation,
                folds=(),
                score=float(np.mean(seen)) if rule is None else rule.model.adjusted_mean(seen),
                fold_scores=tuple(seen),
            )
            lost += number in best and math.isnan(sum(seen))
        promotable += len(best)
    assert lost / promotable < 0.04
    assert folds < share * 40 * n * K


@pytest.mark.parametrize("factor", [2, 2.5, 3, 4])
def test_the_last_place_is_a_standard_error_below_the_share(factor: float) -> None:
    for n in range(1, 400):
        place = last_place(n, factor)
        assert n / factor + math.sqrt(n) / 2 <= place + 1e-9
        assert place <= n / factor + (math.sqrt(n) + 1) / 2 + 1


def test_scouts_are_spared_nothing_below_the_top() -> None:
    scheduler = AshaScheduler(FixedSampler([{"x": 0}] * 200), asynchronous_brackets(1, 27, 3))
    n_scouts = scheduler.n_scouts(0)
    assert n_scouts >= 1
    table = -np.arange(200.0)[:, None] + 0.1 * np.random.default_rng(0).random((200, K))

    def score(job: Job) -> float:
        worse = 1000.0 if job.evaluation.trial.number < n_scouts else 0.0
        return float(table[job.evaluation.trial.number, job.fold] - worse)

    history = run(scheduler, score, prune=True)
    scouts = [o for o in history.outcomes if o.evaluation.trial.number < n_scouts]
    assert {o.status for o in scouts if (o.evaluation.n_resources or 0) < 27} == {"ok"}
    assert {o.evaluation.trial.number for o in scouts if o.evaluation.n_resources == 27} == set(range(n_scouts))
    assert any(o.status == "pruned" for o in history.outcomes)


@pytest.mark.parametrize("spared", [True, False])
def test_a_trial_that_is_spared_at_the_top_ends_its_bracket_as_a_complete_one_does(*, spared: bool) -> None:
    scheduler = AshaScheduler(FixedSampler([]), asynchronous_brackets(1, 3, 3, n_candidates=9))
    assert scheduler.n_scouts(0) == 2
    history = history_of(
        [told(i, (score,) * K) for i, score in enumerate([0.9, 0.8, 0.1, 0.7, 0.2, 0.2, 0.1, 0.1, 0.1])]
    )
    for i in (0, 1, 3):
        scores = (0.5, NAN, NAN, NAN) if spared and i == 3 else (0.9 - 0.1 * i,) * K
        outcome = told(i, scores, amount=3, rung=1)
        history.asked(outcome.evaluation)
        history.told(outcome)
    assert scheduler.ask(history, np.random.default_rng(0)) is None
    assert scheduler.done(history)
    assert scheduler.unfinished(history) == set()


@pytest.mark.parametrize("make", [AshaScheduler, HyperbandScheduler])
@pytest.mark.parametrize("robust", [True, False])
def test_a_spared_trial_that_fails_when_it_has_all_folds_does_not_come_again(make: Any, *, robust: bool) -> None:
    settings = {"robust": robust} if make is AshaScheduler else {}
    brackets = (Bracket((Rung(4, 1), Rung(2, 3)), 2),)
    scheduler = make(FixedSampler([]), brackets, **settings)
    failed = Outcome(evaluation=Evaluation(Trial(0, {}), n_resources=1), folds=(), score=NAN, fold_scores=(NAN,) * K)
    outcomes = [failed, *(told(i, (0.1 * i, NAN, NAN, NAN)) for i in (1, 2, 3))]
    history, asked = history_of(outcomes), []
    while (evaluation := scheduler.ask(history, np.random.default_rng(0))) is not None:
        asked.append(evaluation.trial.number)
        history.asked(evaluation)
        history.told(Outcome(evaluation=evaluation, folds=(), score=NAN, fold_scores=(NAN,) * K))
        assert len(asked) < 9
    assert asked == [3, 2, 1][: len(asked)]  # as far as the units of the bracket go
    assert len(asked) >= 2
    assert scheduler.done(history)


@pytest.mark.parametrize("in_order", [True, False])
def test_a_fold_left_over_from_before_does_not_count(*, in_order: bool) -> None:
    evaluation = Evaluation(Trial(0, {}), n_resources=1)
    again = UnderWay(evaluation, 3, lambda: None, in_order=in_order)
    left_over = fold_score_of(Job(evaluation, 2))  # sent before it was asked again, and equal to the one sent now
    again.collect(left_over, 0.9)
    jobs = again.take(3)
    again.collect(left_over, 0.9)
    for job in (jobs[1], jobs[0]):
        again.collect(fold_score_of(job), 0.5)
    assert not again.decided
    again.collect(fold_score_of(jobs[2]), 0.5)
    assert again.decided
    assert again.outcome(0.0).fold_scores == (0.5, 0.5, 0.5)
    assert [fold.job.fold for fold in again.outcome(0.0).folds] == [0, 1, 2]


def test_nothing_is_stopped_where_a_rung_is_not_promoted_from() -> None:
    """Four trials whose order at 9 units is the reverse of that at 1: scores at 1 and 3 decide nothing any more."""
    brackets = asynchronous_brackets(1, 9, 3)
    scheduler = AshaScheduler(FixedSampler([]), brackets)
    outcomes = [told(i, (float(i),) * K) for i in range(12)]
    early = history_of(outcomes)
    late = history_of(outcomes)
    for i in range(12):
        late.asked(Evaluation(Trial(i, {}), n_resources=3, rung=1))
        late.told(told(i, (float(i),) * K, amount=3, rung=1))
        late.asked(Evaluation(Trial(i, {}), n_resources=9, rung=2))
        late.told(told(i, (float(-i),) * K, amount=9, rung=2))
    fresh = Evaluation(Trial(12, {}), n_resources=1)
    assert scheduler.rival(early, fresh) is not None
    assert scheduler.rival(late, fresh) is None
    at_the_top = scheduler.rival(late, Evaluation(Trial(12, {}), n_resources=9, rung=2))
    assert at_the_top is not None
    assert at_the_top.evaluation.trial.number == 0


def test_the_median_rule_looks_at_trials_with_the_same_amount_of_resource() -> None:
    low = [told(i, (0.1 + 0.01 * i, 0.2 + 0.01 * i)) for i in range(4)]
    high = [told(i, (0.8 + 0.01 * i, 0.9 + 0.01 * i), amount=3, rung=1) for i in range(4)]
    history = history_of(low + high)
    for amount, middle in ((1, 0.115), (3, 0.815)):
        rule = MedianRule.of(history, Evaluation(Trial(9, {}), n_resources=amount))
        assert rule is not None
        assert rule.stops((middle - 0.001, NAN))
        assert not rule.stops((middle + 0.001, NAN))
    paired = PairedRule.of(history, Evaluation(Trial(9, {}), n_resources=1))
    assert paired is not None
    assert paired.rival == low[3].fold_scores


# --- what the model is told -------------------------------------------------------------------------------------------


def test_the_surprise_of_unseen_folds_is_that_of_the_same_amount_of_resource() -> None:
    rng = np.random.default_rng(0)
    low = [told(i, tuple(0.5 + 0.3 * rng.random(3))) for i in range(6)]
    high = [told(i, tuple(0.9 + 0.001 * rng.random(3)), amount=3, rung=1) for i in range(4)]
    pruned = told(6, (0.5, NAN, NAN)), told(4, (0.9, NAN, NAN), amount=3, rung=1)
    space = Space.parse({"x": Real(0.0, 1.0)}, argument="search_spaces")
    history = history_of([*low, *high, *pruned])
    _, sd = BayesSampler(space, n_trials=20).posterior(history)
    noisy = FoldModel.of(low)
    exact = FoldModel.of(high)
    assert noisy is not None
    assert exact is not None
    assert exact.extra_variance(1) < 1e-4 * noisy.extra_variance(1)
    assert np.isfinite(sd).all()
    # with one fold of each seen, the exact amount leaves its trial as certain as a complete one beside it
    swapped = history_of([*low, *high, told(6, (0.5, 0.5, 0.5)), pruned[1]])
    _, known = BayesSampler(space, n_trials=20).posterior(swapped)
    assert sd[6] > known[6]


# --- what a search shows ----------------------------------------------------------------------------------------------


def test_pruned_rows_show_the_means_that_their_rung_leads_to_expect() -> None:
    """Every fit again by scikit-learn; the resource is the depth of a tree, refitted."""
    tree = DecisionTreeClassifier(max_depth=27, random_state=0)
    space = {"min_samples_leaf": randint(1, 60), "ccp_alpha": uniform(0, 0.3)}
    search = HyperbandSearchCV(
        tree,
        space,
        resource="max_depth",
        cv=5,
        scoring=["accuracy", "neg_log_loss"],
        refit="accuracy",
        random_state=0,
    ).fit(X, Y)
    results = search.cv_results_
    pruned = np.flatnonzero(results["status"] == "pruned")
    assert len(pruned) >= 3
    complete: dict[int, list[Any]] = {}
    for row in search.history_:
        if row["status"] == "ok":
            params = {name: row[f"param_{name}"] for name in space}
            model = DecisionTreeClassifier(max_depth=row["n_resources"], random_state=0, **params)
            found = cross_validate(model, X, Y, cv=5, scoring=["accuracy", "neg_log_loss"])
            complete.setdefault(row["n_resources"], []).append(found)
    for name in ("accuracy", "neg_log_loss"):
        for row in pruned:
            table = np.array([found[f"test_{name}"] for found in complete[results["n_resources"][row]]])
            scores = np.array([results[f"split{fold}_test_{name}"][row] for fold in range(5)])
            seen, effects = ~np.isnan(scores), np.median(table, axis=0)
            expected = np.mean(scores[seen] - effects[seen]) + effects.mean()
            expected = min(expected, np.nextafter(table.mean(axis=1).max(), -np.inf))
            assert results[f"mean_test_{name}"][row] == pytest.approx(expected, abs=1e-12)
            assert results["n_splits_done"][row] == seen.sum()
    ranks = results["rank_test_accuracy"]
    assert ranks[results["status"] == "ok"].max() < ranks[results["status"] == "paused"].min()
    assert ranks[results["status"] == "paused"].max() < ranks[pruned].min()
    assert search.best_score_ == results["mean_test_accuracy"][results["status"] == "ok"].max()


@pytest.mark.parametrize("schedule", ["async", "hyperband"])
@pytest.mark.parametrize("prune_folds", [True, "median"])
def test_with_a_seed_pruning_is_the_same_on_every_backend(schedule: str, prune_folds: bool | str) -> None:
    import joblib

    def search(backend: str) -> dict[str, Any]:
        net = MLPClassifier((5,), random_state=0)
        space = {"alpha": uniform(0, 1), "learning_rate_init": uniform(1e-4, 0.3)}
        found = HyperbandSearchCV(
            net,
            space,
            max_resources=9,
            schedule=schedule,
            prune_folds=prune_folds,
            cv=4,
            n_jobs=2,
            sampler="random",
            refit=False,
            random_state=3,
        )
        with joblib.parallel_config(backend=backend):
            found.fit(X, Y)
        return {
            key: np.asarray(column).tolist()
            for key, column in found.cv_results_.items()
            if "time" not in key and key != "params"
        }

    threads, processes = search("threading"), search("loky")
    assert repr(threads) == repr(processes)
    assert "pruned" in threads["status"]


def test_only_trials_with_all_folds_go_on() -> None:
    search = HyperbandSearchCV(
        MLPClassifier((5,), random_state=0),
        {"alpha": uniform(0, 1), "learning_rate_init": uniform(1e-4, 0.3)},
        max_resources=27,
        cv=3,
        refit=False,
        random_state=0,
    ).fit(X, Y)
    ended: dict[int, int] = {}
    for row in search.history_:
        assert row["trial"] not in ended
        if row["status"] == "pruned":
            ended[row["trial"]] = row["n_splits_done"]
    assert Counter(ended.values()).keys() <= {1, 2}
    assert ended


class Eager(RegressorMixin, BaseEstimator):
    """Better early with a larger rate; a rate above 0.65 diverges by the third pass."""

    def __init__(self, rate: float = 0.99, pause: float = 0.0) -> None:
        self.rate = rate
        self.pause = pause

    def partial_fit(self, X: Any, y: Any = None) -> Eager:
        self.passes_ = getattr(self, "passes_", 0) + 1
        time.sleep(self.pause * self.rate)
        return self

    fit = partial_fit

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))

    def score(self, X: Any, y: Any) -> float:
        return NAN if self.rate > 0.65 and self.passes_ >= 3 else self.rate + 0.01 * X[:, 0].mean()


@pytest.mark.filterwarnings("ignore:.*(non-finite|fits failed).*")
@pytest.mark.parametrize("settings", [{}, {"schedule": "hyperband", "brackets": 1}, {"max_resources": 27}])
def test_the_best_has_all_folds_though_all_that_were_promoted_failed(settings: dict[str, Any]) -> None:
    X = np.random.default_rng(0).normal(size=(50, 2))
    for seed in (0, 7, 14):
        reached = []
        for prune_folds in (False, True, "median"):
            search = HyperbandSearchCV(
                Eager(),
                {"rate": uniform(0, 1)},
                cv=5,
                sampler="random",
                random_state=seed,
                prune_folds=prune_folds,
                **{"max_resources": 9, **settings},
            ).fit(X, X[:, 0])
            best = search.best_index_
            assert search.cv_results_["status"][best] in ("ok", "paused")
            assert search.cv_results_["n_splits_done"][best] == 5
            reached.append(search.cv_results_["n_resources"][best])
            amounts = [0, *search.n_resources_]
            planned = sum(row["n_trials"] * (row["n_resources"] - amounts[row["rung"]]) for row in search.plan())
            spent, before = 0, Counter[int]()
            for row in search.history_:
                spent += row["n_resources"] - before[row["trial"]]
                before[row["trial"]] = row["n_resources"] * (row["status"] == "ok")
            assert spent <= planned
        assert min(reached[1:]) >= reached[0]


# --- nothing is left behind -------------------------------------------------------------------------------------------


def test_models_of_spared_trials_are_dropped_even_if_a_fold_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[set[int]] = []
    close = Spool.close

    def look(self: Spool) -> None:
        if Path(self.folder).exists():
            left.append({int(path.name.split("-")[1]) for path in Path(self.folder).glob("trial-*.pkl")})
        close(self)

    monkeypatch.setattr(Spool, "close", look)
    import joblib

    search = HyperbandSearchCV(
        Eager(pause=0.001),
        {"rate": uniform(0, 0.6)},
        max_resources=27,
        cv=5,
        n_jobs=4,
        refit=False,
        sampler="random",
        random_state=None,
    )
    with joblib.parallel_config(backend="threading"):
        search.fit(X, X[:, 0])
    pruned = {row["trial"] for row in search.history_ if row["status"] == "pruned"}
    assert pruned
    assert len(left) >= 1
    assert not left[0] & pruned


def test_a_fold_that_comes_after_the_decision_is_reported() -> None:
    scheduler = AshaScheduler(FixedSampler([{"x": 0}] * 9), asynchronous_brackets(1, 3, 3, n_candidates=5))
    heard: list[tuple[int, bool]] = []
    history = History()
    desk = Desk(
        scheduler,
        history,
        n_folds=2,
        objective=float,
        entropy=0,
        delivery=Delivery.on_arrival(),
        rule_of=lambda *_: Never(),
        after_each=lambda _, evaluation, at_workers: heard.append((evaluation.trial.number, 0 in at_workers)),
    )
    first = desk.next_unit(2, 0)
    second = [job for _ in range(5) for job in desk.next_unit(2, 0)]
    late = next(job for job in second if job.evaluation == first[0].evaluation)
    for job in (first[0], late):
        desk.collect(fold_score_of(job))
    assert heard == [(0, True), (0, False)]
    assert [o.status for o in history.outcomes] == ["pruned"]


class Never:
    """A rule that stops everything after its first fold."""

    model = FoldModel((0.5, 0.5), 1.0)

    def stops(self, fold_scores: Any) -> bool:
        return True
