"""Hyperband and ASHA: which trial gets more resource, as functions of the history.

A *bracket* is a ladder of *rungs*. Trials enter at its first rung; the best of a rung are promoted to
the next one, with about `factor` times the resource; the others stay paused. Larger scores are better.

Notation (Li et al. 2018; 2020): R, r = `max_resources`, `min_resources` · eta = `factor` ·
s_max = the largest s with R / eta^s >= r · n_i, r_i = trials and resources of rung i.

All rung arithmetic is done in fractions. `math.log(243, 3)` is 4.999..., and whoever floors it loses
the longest bracket of R = 243.

References
----------
L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar (2018): Hyperband: a novel bandit-based
approach to hyperparameter optimization. JMLR 18(185), Algorithm 1.
L. Li, K. Jamieson, A. Rostamizadeh, E. Gonina, J. Ben-tzur, M. Hardt, B. Recht, A. Talwalkar (2020):
A system for massively parallel hyperparameter tuning. MLSys 2, Algorithm 2 (ASHA).
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sksearch.samplers.protocol import Sampler
from sksearch.schedulers.fidelity import least_trusted_level, scores_by_level
from sksearch.trials import Evaluation, History, Trial


@dataclass(frozen=True, slots=True)
class Rung:
    """One level of a bracket."""

    n_trials: int
    """Trials that run at this level; with asynchronous promotion the most that may."""
    n_resources: int
    """Resource each of them has had when it is scored here, counted from nothing."""


@dataclass(frozen=True, slots=True)
class Bracket:
    """A ladder of rungs: `n_resources` increases, `n_trials` does not."""

    rungs: tuple[Rung, ...]
    factor: float = 3
    """The share promoted from a rung is one in `factor`."""


class PlanRow(NamedTuple):
    """One line of the table `plan` gives."""

    bracket: int
    rung: int
    n_trials: int
    n_resources: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a search over some brackets costs: exactly, or at most with asynchronous promotion."""

    rows: tuple[PlanRow, ...]
    n_trials: int
    """Trials started."""
    n_evaluations: int
    """Cross-validations: one per trial and rung."""
    n_resources: int
    """Units of resource spent when a promoted trial goes on where it paused."""
    n_resources_from_scratch: int
    """Units of resource spent when a promoted trial is fitted anew."""


def plan(brackets: Iterable[Bracket]) -> Plan:
    """The table of rungs and its cost.

    >>> cost = plan(published_brackets(1, 81, 3))
    >>> cost.n_trials, cost.n_evaluations, cost.n_resources, cost.n_resources_from_scratch
    (143, 206, 1581, 1902)
    """
    rows = []
    resumed = 0
    for number, bracket in enumerate(brackets):
        reached = 0
        for level, rung in enumerate(bracket.rungs):
            rows.append(PlanRow(number, level, rung.n_trials, rung.n_resources))
            resumed += rung.n_trials * (rung.n_resources - reached)
            reached = rung.n_resources
    return Plan(
        rows=tuple(rows),
        n_trials=sum(row.n_trials for row in rows if row.rung == 0),
        n_evaluations=sum(row.n_trials for row in rows),
        n_resources=resumed,
        n_resources_from_scratch=sum(row.n_trials * row.n_resources for row in rows),
    )


# --- the arithmetic of brackets -----------------------------------------------------------------


def rung_levels(min_resources: int, max_resources: int, factor: float) -> tuple[int, ...]:
    """Resource amounts up to `max_resources`, a factor apart and none below `min_resources`.

    Divides down from the top, so that the best trials always get `max_resources`.

    >>> rung_levels(1, 243, 3)
    (1, 3, 9, 27, 81, 243)
    >>> rung_levels(2, 10, 2)
    (2, 5, 10)
    """
    return tuple(sorted(set(_levels(min_resources, max_resources, factor))))


def published_brackets(min_resources: int, max_resources: int, factor: float) -> tuple[Bracket, ...]:
    """Hyperband's brackets, the most aggressive first.

    Bracket s (s_max, ..., 0) starts n = ceil((s_max + 1) eta^s / (s + 1)) trials at
    r = floor(R / eta^s); rung i has floor(n / eta^i) trials at round(r eta^i) resources. Where R is
    no power of eta times an integer, r is rounded down first, as dask-ml does, and the longest
    brackets end somewhat below R. Rungs that round to the same resource are one.

    >>> for bracket in published_brackets(1, 9, 3):
    ...     print([(rung.n_trials, rung.n_resources) for rung in bracket.rungs])
    [(9, 1), (3, 3), (1, 9)]
    [(5, 3), (1, 9)]
    [(3, 9)]
    """
    eta = _exact(factor)
    s_max = len(_levels(min_resources, max_resources, factor)) - 1
    brackets = []
    for s in range(s_max, -1, -1):
        n_trials = math.ceil((s_max + 1) * eta**s / (s + 1))
        n_resources = math.floor(max_resources / eta**s)
        rungs: list[Rung] = []
        for i in range(s + 1):
            rung = Rung(math.floor(n_trials / eta**i), round(n_resources * eta**i))
            if not rungs or rung.n_resources > rungs[-1].n_resources:
                rungs.append(rung)
        brackets.append(Bracket(tuple(rungs), factor))
    return tuple(brackets)


def synchronous_brackets(
    min_resources: int,
    max_resources: int,
    factor: float,
    *,
    n_brackets: int | None = None,
    n_candidates: int | None = None,
) -> tuple[Bracket, ...]:
    """The brackets `HyperbandScheduler` runs.

    Parameters
    ----------
    min_resources, max_resources, factor
        As in `published_brackets`.
    n_brackets : int or None
        Use only the first so many, the most aggressive ones; None: all.
    n_candidates : int or None
        Trials to start. None: as many as the brackets start. Otherwise the brackets are repeated in
        turn until so many are started; the last one is cut to the trials left for it.

    >>> [bracket.rungs[0].n_trials for bracket in synchronous_brackets(1, 9, 3, n_candidates=30)]
    [9, 5, 3, 9, 4]
    """
    published = published_brackets(min_resources, max_resources, factor)
    published = published[: _check_n_brackets(n_brackets, len(published))]
    if n_candidates is None:
        return published
    left = _check_n_candidates(n_candidates)
    brackets: list[Bracket] = []
    while left:
        bracket = published[len(brackets) % len(published)]
        started = min(left, bracket.rungs[0].n_trials)
        sizes = _cut(bracket, started)
        rungs = (Rung(size, rung.n_resources) for size, rung in zip(sizes, bracket.rungs, strict=True))
        brackets.append(Bracket(tuple(rungs), factor))
        left -= started
    return tuple(brackets)


def asynchronous_brackets(
    min_resources: int,
    max_resources: int,
    factor: float,
    *,
    n_brackets: int | None = None,
    n_candidates: int | None = None,
) -> tuple[Bracket, ...]:
    """The brackets `AshaScheduler` runs, each rung with the most trials it may get.

    Parameters
    ----------
    min_resources, max_resources, factor
        As in `rung_levels`; bracket s leaves out the s lowest levels.
    n_brackets : int or None
        None: one. More share the candidates in proportion to the trials the published brackets start.
    n_candidates : int or None
        Trials to start. None: as many as all published brackets start.

    >>> [(rung.n_trials, rung.n_resources) for rung in asynchronous_brackets(1, 81, 3)[0].rungs]
    [(143, 1), (59, 3), (27, 9), (15, 27), (9, 81)]
    """
    published = published_brackets(min_resources, max_resources, factor)
    weights = [bracket.rungs[0].n_trials for bracket in published]
    n_brackets = _check_n_brackets(1 if n_brackets is None else n_brackets, len(published))
    total = sum(weights) if n_candidates is None else _check_n_candidates(n_candidates)
    levels = _levels(min_resources, max_resources, factor)
    brackets = []
    for skipped, started in enumerate(_shares(total, weights[:n_brackets])):
        rungs: list[Rung] = []
        for n_resources in sorted(set(levels[skipped:])):
            most = max(1, most_promotions(rungs[-1].n_trials, factor)) if rungs else started
            rungs.append(Rung(most, n_resources))
        if started:
            brackets.append(Bracket(tuple(rungs), factor))
    return tuple(brackets)


def most_promotions(n_trials: int, factor: float) -> int:
    """The most promotions out of a rung in which `n_trials` are complete.

    The published rule promotes whatever is in the best 1 / eta of a rung *now*; what was promoted
    early may drop out of it later, so the promotions of a growing rung exceed floor(n / eta): in the
    order of sqrt(n), as sample quantiles fluctuate, when trials arrive in random order; up to
    n - ceil(eta) + 1 in all when they get better and better. Here they may exceed it by
    ceil(sqrt(n)), never more.

    >>> most_promotions(143, 3)
    59

    Notes
    -----
    Simulated with 143 candidates, R = 81, eta = 3, noise of half a standard deviation, 150 seeds
    (loss of the selected trial in standard deviations; units of resource spent on average, at most):
    no limit 0.00 (721, 1203); this limit 0.00 (714, 1179); floor(n / eta) 0.21 (471, 471). With
    candidates that improve by two standard deviations during the search: no limit 0.00 (1579, 2459);
    this limit 0.17 (1095, 1179); floor(n / eta) 0.92 (471, 471).
    """
    share = math.floor(n_trials / _exact(factor))
    if share == 0:
        return 0
    surplus = math.isqrt(n_trials - 1) + 1
    return min(share + surplus, n_trials - math.ceil(_exact(factor)) + 1)


def _levels(min_resources: int, max_resources: int, factor: float) -> list[int]:
    """R / eta^s for s = s_max, ..., 0, rounded down; may repeat when eta is below 2."""
    eta = _exact(factor)
    if min_resources < 1:
        raise ValueError(f"min_resources must be at least 1, got {min_resources!r}.")
    if max_resources < min_resources:
        raise ValueError(
            f"min_resources={min_resources!r} is greater than max_resources={max_resources!r}; lower min_resources."
        )
    level = Fraction(max_resources)
    levels = []
    while level >= min_resources:
        levels.append(math.floor(level))
        level /= eta
    return levels[::-1]


@lru_cache(maxsize=16)
def _exact(factor: float) -> Fraction:
    """The factor as its shortest decimal says it: 1.1 is 11/10."""
    if not (math.isfinite(factor) and factor > 1):
        raise ValueError(
            f"factor must be a finite number greater than 1, got {factor!r}; "
            "factor=3 keeps the best third at each rung."
        )
    return Fraction(repr(float(factor)))


def _check_n_brackets(n_brackets: int | None, most: int) -> int:
    if n_brackets is None:
        return most
    if not 1 <= n_brackets <= most:
        raise ValueError(
            f"brackets must be from 1 to {most}, the number of rungs between min_resources and max_resources, "
            f"got {n_brackets!r}; widen the range of resources or use brackets='auto'."
        )
    return n_brackets


def _check_n_candidates(n_candidates: int) -> int:
    if n_candidates < 1:
        raise ValueError(f"n_candidates must be at least 1, got {n_candidates!r}; use 'auto' for the published number.")
    return n_candidates


def _cut(bracket: Bracket, started: int) -> list[int]:
    """Rung sizes when only `started` trials enter: a share of each rung, at least one trial."""
    sizes = [min(started, bracket.rungs[0].n_trials)]
    for rung in bracket.rungs[1:]:
        share = max(1, math.floor(sizes[-1] / _exact(bracket.factor)))
        sizes.append(rung.n_trials if started >= bracket.rungs[0].n_trials else min(rung.n_trials, share))
    return sizes


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` divided in proportion to `weights`, by largest remainder."""
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    shares = [math.floor(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: (shares[i] - exact[i], i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares


# --- what the history says about rungs ----------------------------------------------------------


@dataclass(slots=True)
class _RungState:
    """Who is in a rung."""

    n_entered: int = 0
    """Trials asked to run here."""
    n_told: int = 0
    """Those with an outcome, failed ones included."""
    ranking: list[tuple[float, int]] = field(default_factory=list)
    """(-score, trial number) of those that did not fail: the best first, ties to the earlier trial."""
    promoted: set[int] = field(default_factory=set)
    """Numbers of the trials asked to run in the next rung."""

    @property
    def n_pending(self) -> int:
        return self.n_entered - self.n_told


@dataclass(slots=True)
class _Spent:
    """What was started in a bracket, and at what cost."""

    trials: list[int] = field(default_factory=list)
    """Numbers, in the order of starting."""
    resumed: int = 0
    """Units of resource where promoted trials go on."""
    from_scratch: int = 0
    """Units of resource where they are fitted anew."""


class _Ledger:
    """Rungs by (bracket, rung): a memo of a history, brought up to date by reading what is new in it."""

    def __init__(self) -> None:
        self._forget(None)

    def __reduce__(self) -> tuple[type[_Ledger], tuple[()]]:
        """Copies and pickles start empty: a memo can always be made again."""
        return _Ledger, ()

    def _forget(self, history: History | None) -> None:
        self._history = history
        self._n_evaluations = 0
        self._n_outcomes = 0
        self._rungs: dict[tuple[int, int], _RungState] = {}
        self._levels: dict[int, dict[int, float]] = {}
        self._trusted_at = 0
        self._trusted: int | None = None
        self._last: dict[int, Evaluation] = {}
        self._succeeded: set[Evaluation] = set()
        self._spent: dict[int, _Spent] = {}

    def read(self, history: History) -> _Ledger:
        """Follow `history` up to now."""
        evaluations, outcomes = history.evaluations, history.outcomes
        behind = self._n_evaluations <= len(evaluations) and self._n_outcomes <= len(outcomes)
        if history is not self._history or not behind:
            self._forget(history)
        for position in range(self._n_evaluations, len(evaluations)):
            evaluation = evaluations[position]
            self.rung(evaluation.bracket, evaluation.rung).n_entered += 1
            number, amount = evaluation.trial.number, evaluation.n_resources or 0
            spent = self.spent(evaluation.bracket)
            spent.resumed += amount - self.reached(number)
            spent.from_scratch += amount
            if number in self._last:
                self.rung(evaluation.bracket, evaluation.rung - 1).promoted.add(number)
            else:
                spent.trials.append(number)
            self._last[number] = evaluation
        for position in range(self._n_outcomes, len(outcomes)):
            outcome = outcomes[position]
            state = self.rung(outcome.evaluation.bracket, outcome.evaluation.rung)
            state.n_told += 1
            if outcome.status == "ok":
                insort(state.ranking, (-outcome.score, outcome.evaluation.trial.number))
                self._succeeded.add(outcome.evaluation)
        for amount, scores in scores_by_level(outcomes[self._n_outcomes :]).items():
            self._levels.setdefault(amount, {}).update(scores)
        self._n_evaluations, self._n_outcomes = len(evaluations), len(outcomes)
        return self

    def spent(self, bracket: int) -> _Spent:
        """What a bracket has had."""
        return self._spent.setdefault(bracket, _Spent())

    def reached(self, number: int) -> int:
        """Resource that a trial was given so far, 0 before it was started."""
        return (self._last[number].n_resources or 0) if number in self._last else 0

    def paused(self, number: int) -> Evaluation | None:
        """Where a trial waits; None while it runs, when it failed, and before it was started."""
        last = self._last.get(number)
        return last if last in self._succeeded else None

    def trusted(self) -> int | None:
        """The amount of resource from which on scores can be trusted; None where nothing speaks against any."""
        if self._trusted_at != self._n_outcomes:
            self._trusted_at, self._trusted = self._n_outcomes, least_trusted_level(self._levels)
        return self._trusted

    def rung(self, bracket: int, rung: int) -> _RungState:
        state = self._rungs.get((bracket, rung))
        if state is None:
            state = self._rungs[bracket, rung] = _RungState()
        return state


class _Promotion(NamedTuple):
    """Trial `number` is to run at rung `rung` of its bracket."""

    number: int
    bracket: int
    rung: int


def _promoted(promotion: _Promotion, brackets: Sequence[Bracket], history: History) -> Evaluation:
    number, bracket, rung = promotion
    n_resources = brackets[bracket].rungs[rung].n_resources
    return Evaluation(history.trials[number], n_resources=n_resources, rung=rung, bracket=bracket)


def _started(
    sampler: Sampler,
    bracket: int,
    brackets: Sequence[Bracket],
    history: History,
    rng: np.random.Generator,
    *,
    trusted: int | None = None,
    rung: int = 0,
) -> Evaluation | None:
    """A new trial, by a sampler that sees failures, and the scores from the `trusted` amount of resource up."""
    seen = history
    if trusted is not None:
        told = history.outcomes
        seen = history.with_outcomes(
            [o for o in told if o.status == "failed" or (o.evaluation.n_resources or 0) >= trusted]
        )
    params = sampler.suggest(seen, rng)
    if params is None:
        return None
    trial = Trial(len(history.trials), params)
    return Evaluation(trial, n_resources=brackets[bracket].rungs[rung].n_resources, rung=rung, bracket=bracket)


# --- schedulers -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HyperbandScheduler:
    """Synchronous successive halving in each bracket: the published Hyperband.

    A rung is promoted from when all its trials are complete: the best n_{i+1} of them, ties to the
    earlier trial. While a bracket waits, the first rungs of later brackets are started, so that
    workers do not idle; this changes no promotion. Failed trials are never promoted. If the sampler
    is exhausted, the bracket it leaves short goes on with the trials it has: one in `factor` of
    each rung, at least one.

    >>> from sksearch.samplers.fixed import FixedSampler
    >>> scheduler = HyperbandScheduler(FixedSampler([{"C": 1}] * 17), published_brackets(1, 9, 3))
    >>> scheduler.ask(History(), np.random.default_rng(0)).n_resources
    1
    """

    sampler: Sampler
    brackets: tuple[Bracket, ...]
    """See `synchronous_brackets`."""
    _ledger: _Ledger = field(default_factory=_Ledger, init=False, repr=False, compare=False)

    def ask(self, history: History, rng: np.random.Generator) -> Evaluation | None:
        """A promotion in the earliest bracket that has one, else a new trial in the earliest unfilled one."""
        ledger = self._ledger.read(history)
        promotion = self._promotion(ledger, exhausted=False)
        if promotion is None:
            bracket = self._unfilled(ledger)
            if bracket is None:
                return None
            evaluation = _started(self.sampler, bracket, self.brackets, history, rng)
            if evaluation is not None:
                return evaluation
            promotion = self._promotion(ledger, exhausted=True)
        return None if promotion is None else _promoted(promotion, self.brackets, history)

    def done(self, history: History) -> bool:
        """Whether every bracket has started its trials and promoted what it will."""
        ledger = self._ledger.read(history)
        return (
            not history.pending and self._unfilled(ledger) is None and self._promotion(ledger, exhausted=False) is None
        )

    def _unfilled(self, ledger: _Ledger) -> int | None:
        for number, bracket in enumerate(self.brackets):
            if ledger.rung(number, 0).n_entered < bracket.rungs[0].n_trials:
                return number
        return None

    def _promotion(self, ledger: _Ledger, *, exhausted: bool) -> _Promotion | None:
        for number, bracket in enumerate(self.brackets):
            started = ledger.rung(number, 0).n_entered
            if started == bracket.rungs[0].n_trials or (exhausted and started):
                promotion = self._promotion_in(number, _cut(bracket, started), ledger)
                if promotion is not None:
                    return promotion
        return None

    def _promotion_in(self, number: int, sizes: Sequence[int], ledger: _Ledger) -> _Promotion | None:
        """The next promotion of a bracket whose first rung is filled; None if a rung is still running."""
        for rung in range(len(sizes) - 1):
            state, above = ledger.rung(number, rung), ledger.rung(number, rung + 1)
            if state.n_pending:
                return None
            chosen = state.ranking[: sizes[rung + 1]]
            if above.n_entered < len(chosen):
                return _Promotion(chosen[above.n_entered][1], number, rung + 1)
        return None


@dataclass(frozen=True, slots=True)
class AshaScheduler:
    """Asynchronous successive halving (ASHA) of paused trials.

    Each ask scans the rungs from the most resources down. Promotable are the best
    floor(n / factor) of the n complete trials of a rung that were not promoted yet, the best first;
    failed ones count in n and are never promoted. If there is none a new trial starts, while
    candidates are left. Promotions of a rung are limited to `most_promotions`, so that
    `plan(brackets)` is the most that is spent.

    The published algorithm runs until it is stopped; with a finite number of candidates it would
    end with the best of short rungs waiting for company that never comes. So when all candidates
    have been started, nothing of a bracket is running or promotable, and no trial of it has been
    promoted to its top rung by its scores, the best trial of its highest rung is promoted, rung by
    rung, as synchronous successive halving does when one trial is left.

    With several brackets a new trial joins one at random, in proportion to the places left in each.

    Without `robust` that is all. With it the search does not take it on trust that early scores tell
    of late ones:

    - The first trials of a bracket are *scouts*, one for each `factor` places at its top: they go there
      whatever their scores are. Their steps take turns with the others, so that scouts have at most half of
      what is spent before the end.
    - Of all trials that were scored at a low and at a high amount of resource the scores are
      correlated (`fidelity.least_trusted_level`). Where an amount does not tell what comes, new
      trials start above it, the sampler sees no score of it or of less, and only scouts, and what ends a
      bracket, are promoted from there. So the search goes on with fewer, longer trials, if need be with
      full ones alone. A rung may then have more trials than `brackets` says; the units that a bracket
      spends are never more than planned.

    >>> from sksearch.samplers.fixed import FixedSampler
    >>> scheduler = AshaScheduler(FixedSampler([{"C": 1}] * 17), asynchronous_brackets(1, 9, 3))
    >>> scheduler.ask(History(), np.random.default_rng(0)).n_resources
    1
    """

    sampler: Sampler
    brackets: tuple[Bracket, ...]
    """See `asynchronous_brackets`."""
    robust: bool = True
    _ledger: _Ledger = field(default_factory=_Ledger, init=False, repr=False, compare=False)

    def ask(self, history: History, rng: np.random.Generator) -> Evaluation | None:
        """A promotion, else a new trial, else a promotion that ends a bracket."""
        ledger = self._ledger.read(history)
        trusted = self._trusted(ledger)
        promotion = self._scout(ledger, at_rest=False) or self._promotion(ledger, trusted)
        if promotion is None:
            places = self._places(ledger, trusted)
            if any(places):
                bracket = _draw(places, rng)
                rung = self._first_rung(bracket, trusted)
                evaluation = _started(self.sampler, bracket, self.brackets, history, rng, trusted=trusted, rung=rung)
                if evaluation is not None:
                    return evaluation
            promotion = self._scout(ledger, at_rest=True) or self._last_promotion(ledger)
        return None if promotion is None else _promoted(promotion, self.brackets, history)

    def done(self, history: History) -> bool:
        """Whether all candidates have been started or all is spent, and nothing is running or to be promoted."""
        ledger = self._ledger.read(history)
        trusted = self._trusted(ledger)
        return (
            not history.pending
            and not any(self._places(ledger, trusted))
            and self._scout(ledger, at_rest=True) is None
            and self._promotion(ledger, trusted) is None
            and self._last_promotion(ledger) is None
        )

    def n_scouts(self, bracket: int) -> int:
        """Trials of a bracket that go to its top whatever their scores are."""
        rungs, factor = self.brackets[bracket].rungs, self.brackets[bracket].factor
        return math.floor(rungs[-1].n_trials / _exact(factor)) if self.robust and len(rungs) > 1 else 0

    def _trusted(self, ledger: _Ledger) -> int | None:
        return ledger.trusted() if self.robust else None

    def _first_rung(self, bracket: int, trusted: int | None) -> int:
        """The first rung of a bracket with scores that are trusted; the last one if there is none."""
        rungs = self.brackets[bracket].rungs
        return next((i for i, rung in enumerate(rungs) if rung.n_resources >= (trusted or 0)), len(rungs) - 1)

    def _places(self, ledger: _Ledger, trusted: int | None) -> list[int]:
        """Trials each bracket has still to start and can afford."""
        places = []
        for number, bracket in enumerate(self.brackets):
            left = bracket.rungs[0].n_trials - len(ledger.spent(number).trials)
            places.append(left if self._affordable(ledger, number, self._first_rung(number, trusted)) else 0)
        return places

    def _affordable(self, ledger: _Ledger, number: int, rung: int, before: int = 0) -> bool:
        """Whether the units suffice to take a trial from `before` to `rung`, and then one to the top if none is there.

        Without `robust` the plan's numbers of trials, which are kept to then, see to it.
        """
        if not self.robust:
            return True
        bracket, spent = self.brackets[number], ledger.spent(number)
        budget = _budget(bracket)
        steps = [level.n_resources for level in bracket.rungs[rung:]]
        if ledger.rung(number, len(bracket.rungs) - 1).n_entered:
            steps = steps[:1]
        return (
            spent.resumed + steps[-1] - before <= budget.n_resources
            and spent.from_scratch + sum(steps) <= budget.n_resources_from_scratch
        )

    def _if_affordable(self, ledger: _Ledger, promotion: _Promotion) -> _Promotion | None:
        before = self.brackets[promotion.bracket].rungs[promotion.rung - 1].n_resources
        return promotion if self._affordable(ledger, promotion.bracket, promotion.rung, before) else None

    def _scout(self, ledger: _Ledger, *, at_rest: bool) -> _Promotion | None:
        """The next step of a scout, the earliest first, once the others have spent as much or have nothing to do."""
        for number, bracket in enumerate(self.brackets):
            spent = ledger.spent(number)
            scouts = spent.trials[: self.n_scouts(number)]
            for scout in scouts:
                paused = ledger.paused(scout)
                rungs = bracket.rungs[paused.rung :] if paused else ()
                if paused is None or len(rungs) < 2:
                    continue
                promotion = self._if_affordable(ledger, _Promotion(scout, number, paused.rung + 1))
                if promotion and ledger.rung(number, promotion.rung).n_entered < rungs[1].n_trials:
                    more = rungs[1].n_resources - rungs[0].n_resources
                    if at_rest or 2 * (sum(map(ledger.reached, scouts)) + more) <= spent.resumed + more:
                        return promotion
                    break
        return None

    def _promotion(self, ledger: _Ledger, trusted: int | None) -> _Promotion | None:
        """The published rule, over all brackets: the rung with the most resources first."""
        ladder = (
            (-bracket.rungs[rung + 1].n_resources, number, rung)
            for number, bracket in enumerate(self.brackets)
            for rung in range(self._first_rung(number, trusted), len(bracket.rungs) - 1)
        )
        for _, number, rung in sorted(ladder):
            state = ledger.rung(number, rung)
            factor = self.brackets[number].factor
            if len(state.promoted) < most_promotions(state.n_told, factor):
                best = state.ranking[: math.floor(state.n_told / _exact(factor))]
                trial = next((trial for _, trial in best if trial not in state.promoted), None)
                if trial is not None and (found := self._if_affordable(ledger, _Promotion(trial, number, rung + 1))):
                    return found
        return None

    def _last_promotion(self, ledger: _Ledger) -> _Promotion | None:
        """For a bracket at rest with nothing but scouts at the top: the best trial of its highest rung."""
        for number, bracket in enumerate(self.brackets):
            states = [ledger.rung(number, rung) for rung in range(len(bracket.rungs))]
            scouts = ledger.spent(number).trials[: self.n_scouts(number)]
            chosen = any(trial not in scouts for _, trial in states[-1].ranking)
            if chosen or any(state.n_pending for state in states):
                continue
            for rung in range(len(states) - 2, -1, -1):
                state = states[rung]
                if len(state.promoted) < bracket.rungs[rung + 1].n_trials:
                    trial = next((trial for _, trial in state.ranking if trial not in state.promoted), None)
                    if trial is not None and (
                        found := self._if_affordable(ledger, _Promotion(trial, number, rung + 1))
                    ):
                        return found
        return None


@lru_cache(maxsize=64)
def _budget(bracket: Bracket) -> Plan:
    """What a bracket may cost by itself."""
    return plan([bracket])


def _draw(places: Sequence[int], rng: np.random.Generator) -> int:
    """A bracket, in proportion to its places; no draw is spent when only one was planned."""
    if len(places) == 1:
        return 0
    return int(np.searchsorted(np.cumsum(places), rng.integers(sum(places)), side="right"))
