"""What the folds of different trials say about each other: fold effects, and the noise of a paired comparison.

All trials of a search are evaluated on the same folds, and a fold that is hard for one of them is
hard for the others. So the folds seen of a trial are compared with *these* folds of other trials.

Notation: m complete trials, K folds, k of them seen of a trial that is not complete.
Y (m, K) scores of the complete trials · b (K,) fold effects · s2 variance of the interaction e
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sksearch.trials import Evaluation, History, Outcome

Array: TypeAlias = NDArray[np.float64]

FEWEST_COMPLETE = 3
"""Different complete trials without which nothing is said about folds."""
_RELATIVE_FLOOR = 1e-7
"""Standard deviation of e, relative to the largest score, below which it is rounding error (also in float32)."""


@dataclass(frozen=True, slots=True)
class FoldModel:
    """Scores as trial + fold + interaction: y_ik = f_i + b_k + e_ik.

    Only e is noise when trials are compared on the same folds; differences between folds cancel.

    Notes
    -----
    b_k is the median of column k of Y, so one outlying trial moves none of them. s2 is the residual
    mean square of the two-way table without replication, sum (y_ik - y_i. - y_.k + y_..)^2 /
    ((m' - 1)(K - 1)), over the best half m' >= 3 of the complete trials (bad ones differ in more
    than noise). Trials with equal scores on all folds, a plateau, count once: they say nothing about
    one that differs. It is at least the square of the smallest difference between two scores, the
    resolution of a metric that counts samples, and at least (1e-7 max|y|)^2 over that half; with a single fold,
    where there is nothing to estimate, it is that.

    References
    ----------
    H. Scheffe (1959): The Analysis of Variance, chapter 4 (the two-way layout, one observation per cell).

    Examples
    --------
    >>> from sksearch.trials import Evaluation, Trial
    >>> table = [(0.80, 0.70, 0.90), (0.81, 0.72, 0.90), (0.60, 0.51, 0.71)]
    >>> model = FoldModel.of([
    ...     Outcome(evaluation=Evaluation(Trial(i, {})), folds=(), score=sum(row) / 3, fold_scores=row)
    ...     for i, row in enumerate(table)
    ... ])
    >>> model.effects
    (0.8, 0.7, 0.9)
    >>> round(model.adjusted_mean((math.nan, 0.75, math.nan)), 3)  # 0.05 above what fold 1 usually gives
    0.85
    >>> model.extra_variance(3)
    0.0
    """

    effects: tuple[float, ...]
    """(K,) b: what each fold usually gives."""
    variance: float
    """s2, of a single fold of a single trial."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> FoldModel | None:
        """Estimated from the complete trials among `outcomes`; None with fewer than three different ones."""
        return _model(tuple(outcome.fold_scores for outcome in complete_outcomes(outcomes)))

    def adjusted_mean(self, fold_scores: Sequence[float]) -> float:
        """What the mean over all folds is expected to be, given the folds seen.

        Parameters
        ----------
        fold_scores : sequence of float, length K
            In the order of the splits, nan where not seen.

        Returns
        -------
        float
            mean over the seen k of (y_k - b_k), plus mean(b); nan if none was seen.
        """
        pairs = zip(fold_scores, self.effects, strict=True)
        above = [score - effect for score, effect in pairs if not math.isnan(score)]
        return sum(above) / len(above) + sum(self.effects) / len(self.effects) if above else math.nan

    def extra_variance(self, n_seen: int) -> float:
        """Variance of the adjusted mean of `n_seen` folds about the mean over all K.

        s2 (1/k - 1/K): the other folds are a finite population, and with k = K nothing is unknown.
        """
        return self.variance * (1.0 / n_seen - 1.0 / len(self.effects))


@lru_cache(maxsize=64)
def _model(scores: tuple[tuple[float, ...], ...]) -> FoldModel | None:
    """Remembered: between two outcomes many ask for that of the same few amounts of a resource."""
    table = np.array(scores, dtype=np.float64)
    different = np.unique(table, axis=0) if len(table) else table
    if len(different) < FEWEST_COMPLETE:
        return None
    effects = np.median(table, axis=0)
    return FoldModel(tuple(effects.tolist()), _interaction_variance(different))


def complete_outcomes(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that have a finite score on every fold."""
    return [outcome for outcome in outcomes if outcome.fold_scores and outcome.status == "ok"]


def best_outcome(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The complete one with the largest mean, of several the one of the earliest trial; None without any."""
    complete = complete_outcomes(outcomes)
    return max(complete, key=lambda told: (told.score, -told.evaluation.trial.number), default=None)


def by_amount(outcomes: Iterable[Outcome]) -> dict[int | None, list[Outcome]]:
    """Outcomes by amount of resource: folds have other effects at other amounts."""
    groups: dict[int | None, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.evaluation.n_resources, []).append(outcome)
    return groups


def outcomes_beside(history: History, evaluation: Evaluation) -> list[Outcome]:
    """Those of the same amount of resource."""
    return [told for told in history.outcomes if told.evaluation.n_resources == evaluation.n_resources]


def _interaction_variance(table: Array) -> float:
    """s2 from the rows of `table`, shape (m, K), with the largest means; no disaster among the others counts."""
    n_best = max(FEWEST_COMPLETE, math.ceil(len(table) / 2))
    best = table[np.argsort(-table.mean(axis=1), kind="stable")[:n_best]]
    scale = float(np.abs(best).max())
    if scale == 0.0:
        return 0.0
    best = best / scale
    residuals = best - best.mean(axis=1, keepdims=True) - best.mean(axis=0) + best.mean()
    freedom = (best.shape[0] - 1) * (best.shape[1] - 1)
    relative = float((residuals**2).sum()) / freedom if freedom else 0.0
    steps = np.diff(np.unique(table[np.abs(table) <= 1e9 * scale] / scale))
    resolution = float(steps.min()) if freedom and len(steps) else 0.0
    return min(max(relative, resolution**2, _RELATIVE_FLOOR**2) * scale * scale, sys.float_info.max)
