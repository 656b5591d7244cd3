"""Which amounts of a resource tell what more of it will say.

Early scores may mislead: a large learning rate is best after three trees and worst after three hundred. Here the
scores that trials got at a low and at a high amount are compared, and the amounts that predict nothing are distrusted.

Notation: a *level* is an amount of the resource · n trials that have scores at both of two levels
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from sksearch.trials import Outcome

Array: TypeAlias = NDArray[np.float64]
Levels: TypeAlias = Mapping[int, Mapping[int, float]]
"""Score of each trial at each level."""

FEWEST_PAIRS = 4
"""Trials without which nothing is said about two levels."""
_PRIOR_CORRELATION, _PRIOR_PAIRS = 0.7, 1.0
"""What is expected of two levels before anything is known, and how many pairs more than three that is worth."""
_LEAST_CORRELATION = 0.5


def add_score(levels: dict[int, dict[int, float]], outcome: Outcome) -> None:
    """Put the score of a trial into its level; of one that failed there is none.

    Pruned ones count by their fold-adjusted means: a rung without its worst trials would be another rung.
    """
    amount, number = outcome.evaluation.n_resources, outcome.evaluation.trial.number
    if amount is None:
        return
    if outcome.status != "failed":
        levels.setdefault(amount, {})[number] = outcome.score
    elif number in levels.get(amount, {}):  # pruned before
        del levels[amount][number]


def least_trusted_level(levels: Levels) -> int | None:
    """The lowest level above all those that do not predict the highest they can be compared with.

    Level i is compared with the highest level that at least four of its trials have reached. It is
    refuted where the shrunk `correlation` is below 0.5; a level of which nothing can be said is not.

    Parameters
    ----------
    levels : mapping of int to mapping of int to float
        See `add_score`.

    Returns
    -------
    int or None
        None where no level is refuted.

    Examples
    --------
    >>> early = {trial: score for trial, score in enumerate([0.1, 0.2, 0.3, 0.4, 0.5])}
    >>> least_trusted_level({1: early, 3: early, 9: {1: 0.7, 2: 0.8, 3: 0.9, 4: 1.0}})
    >>> least_trusted_level({1: early, 3: early, 9: {1: 1.0, 2: 0.9, 3: 0.8, 4: 0.7}})
    9
    """
    ordered = sorted(levels)
    for position in range(len(ordered) - 2, -1, -1):
        low = levels[ordered[position]]
        shared = ((levels[high], low.keys() & levels[high].keys()) for high in reversed(ordered[position + 1 :]))
        compared = next(((high, both) for high, both in shared if len(both) >= FEWEST_PAIRS), None)
        if compared is not None and correlation(low, *compared) < _LEAST_CORRELATION:
            return ordered[position + 1]
    return None


def correlation(low: Mapping[int, float], high: Mapping[int, float], both: Iterable[int]) -> float:
    r"""Correlation between a low and a high level over all trials of the low one, shrunk towards 0.7.

    Only the best of the low level reach the high one, and among them alone any correlation is weaker.
    But a selection by the regressor leaves a regression as it is (Pearson, 1903): the normal scores of
    the high level are regressed on those of the low one, and with slope b and residual variance s2 the
    correlation over a whole rung, the normal scores of which have variance 1, is
    :math:`r = b / \sqrt{b^2 + s^2}`. It is averaged with the prior on Fisher's scale,
    :math:`\tanh[\{w \operatorname{atanh} r + \operatorname{atanh} 0.7\} / (w + 1)]`. Its weight w is n - 3
    for trials from the whole rung. A selection leaves the slope right, but less certain, as if there were
    fewer of them: by the share v of the variance of the normal scores that it leaves,
    :math:`w = (n - 3) \min(v, 1)`. So the best of a rung, which are all alike, hardly count, and what
    they say of luck is not taken for a bad rung. Equal scores at the high level, of models that have
    learned nothing yet or all there is, say nothing: 0.7.

    Parameters
    ----------
    low, high : mapping of int to float
        Scores by trial.
    both : iterable of int
        At least four trials that are in both.

    References
    ----------
    K. Pearson (1903): On the influence of natural selection on the variability and correlation of organs.
    Philosophical Transactions of the Royal Society A 200.

    Examples
    --------
    >>> round(correlation({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}, {0: 5.0, 1: 6.0, 2: 8.0, 3: 7.0}, range(4)), 2)
    0.7
    """
    trials = sorted(both)
    position = {trial: place for place, trial in enumerate(low)}
    rung = _normal_scores(np.array(list(low.values())))
    x = rung[[position[trial] for trial in trials]]
    y = _normal_scores(np.array([high[trial] for trial in trials]))
    if np.ptp(y) == 0.0:
        return _PRIOR_CORRELATION
    x, y = x - x.mean(), y - y.mean()
    spread = float(x @ x)
    slope = float(x @ y) / spread if spread else 0.0
    residual = float(np.square(y - slope * x).sum()) / (len(trials) - 2)
    r = slope / math.sqrt(slope**2 + residual)
    variance = float(rung.var())
    left = min(spread / len(trials) / variance, 1.0) if variance else 1.0
    weight = left * (len(trials) - 3)
    r = math.copysign(min(abs(r), 1.0 - 1e-12), r)
    mean = (weight * math.atanh(r) + _PRIOR_PAIRS * math.atanh(_PRIOR_CORRELATION)) / (weight + _PRIOR_PAIRS)
    return math.tanh(mean)


def _normal_scores(values: Array) -> Array:
    """Normal quantiles of the ranks; equal values have the mean rank."""
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - 0.5 * (counts - 1)
    return np.asarray(ndtri((ranks[position] - 0.5) / len(values)))
