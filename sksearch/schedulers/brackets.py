"""Rungs and brackets: how many trials get how much resource, and what that costs.

A *bracket* is a ladder of *rungs*. Trials enter at its first rung; the best of a rung are promoted to the next one,
with about `factor` times the resource.

Notation (Li et al. 2018): R, r = `max_resources`, `min_resources` · eta = `factor` ·
s_max = the largest s with R / eta^s >= r · n_i, r_i = trials and resources of rung i.

All rung arithmetic is done in fractions. `math.log(243, 3)` is 4.999..., and whoever floors it loses
the longest bracket of R = 243.

References
----------
L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar (2018): Hyperband: a novel bandit-based
approach to hyperparameter optimization. JMLR 18(185), Algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

FEWEST_TRIALS = 10
"""Trials that asynchronous brackets start at least, unless told otherwise: `n_iter` of scikit-learn's
RandomizedSearchCV. Where all rows are few the published brackets start five, or a single one.
"""


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
    eta = exact(factor)
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
        sizes = cut(bracket, started)
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
        Trials to start. None: as many as all published brackets start, and at least ten.

    >>> [(rung.n_trials, rung.n_resources) for rung in asynchronous_brackets(1, 81, 3)[0].rungs]
    [(143, 1), (59, 3), (27, 9), (15, 27), (9, 81)]
    """
    published = published_brackets(min_resources, max_resources, factor)
    weights = [bracket.rungs[0].n_trials for bracket in published]
    n_brackets = _check_n_brackets(1 if n_brackets is None else n_brackets, len(published))
    total = max(FEWEST_TRIALS, sum(weights)) if n_candidates is None else _check_n_candidates(n_candidates)
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
    share = math.floor(n_trials / exact(factor))
    if share == 0:
        return 0
    surplus = math.isqrt(n_trials - 1) + 1
    return min(share + surplus, n_trials - math.ceil(exact(factor)) + 1)


def _levels(min_resources: int, max_resources: int, factor: float) -> list[int]:
    """R / eta^s for s = s_max, ..., 0, rounded down; may repeat when eta is below 2."""
    eta = exact(factor)
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
def exact(factor: float) -> Fraction:
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


def cut(bracket: Bracket, started: int) -> list[int]:
    """Rung sizes when only `started` trials enter: a share of each rung, at least one trial."""
    sizes = [min(started, bracket.rungs[0].n_trials)]
    for rung in bracket.rungs[1:]:
        share = max(1, math.floor(sizes[-1] / exact(bracket.factor)))
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
