"""Scores as the surrogate sees them: the good half as it is, the bad half by rank.

Notation: n scores, u distinct finite ones. score (n,) larger is better, nan for a failed trial ·
z (n,) warped and standardised scores
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from sksearch.gp.features import Array

_NO_SPREAD = 1e-12
"""Standard deviation, relative to the largest score, under which scores count as equal."""
_REACH = 64.0
"""Standard deviations by which `inverse` continues straight on beyond the observed scores."""


@dataclass(frozen=True, slots=True)
class HalfRankWarp:
    r"""A monotone map of scores, made for one set of them.

    Scores from the median up are kept. Those below are replaced by normal quantiles of their
    dense rank: rank :math:`q` of the worse half becomes
    :math:`m + s\,\Phi^{-1}\{(q - 1/2) / (2 D)\}` with the median :math:`m`, the root mean square
    :math:`s` of the distances of the distinct good scores from it, and :math:`D` the number of
    distinct scores below :math:`m`, plus a half where :math:`m` is a score itself. So a disaster
    says no more than "worst", while the shape near the optimum stays. The result is standardised.

    A failed trial is ranked once below every score. Ties stay ties.

    Notes
    -----
    The warp of the Vizier service: Song et al., "The Vizier Gaussian Process Bandit Algorithm",
    2024, Section 3.2. Scores are scaled by a power of two first, so any finite float will do.

    Examples
    --------
    >>> warp = HalfRankWarp.fit(np.array([0.1, 0.8, 0.9, -1e9, np.nan]))
    >>> warp.transform(np.array([0.1, 0.8, 0.9, -1e9, np.nan])).round(2).tolist()
    [-0.16, 0.99, 1.25, -0.66, -1.41]
    >>> float(warp.inverse(warp.transform(np.array([0.8])))[0])
    0.8
    """

    scores: Array
    """(u,) distinct finite scores, increasing, times 2**-exponent."""
    warped: Array
    """(u,) their images, increasing."""
    failed: float
    """Image of a failed trial."""
    slope: float
    """Change of score (times 2**-exponent) per unit of z in the good half; 0 when scores are equal."""
    exponent: int

    @classmethod
    def fit(cls, scores: Array) -> HalfRankWarp:
        """The warp of (n,) scores, of which at least one is finite."""
        finite = scores[np.isfinite(scores)]
        exponent = int(np.frexp(np.max(np.abs(finite)))[1])
        finite = np.ldexp(finite, -exponent)
        n_failed = len(scores) - len(finite)
        distinct, counts = np.unique(finite, return_counts=True)
        median = float(np.median(finite))
        n_below = int(np.searchsorted(distinct, median))
        spread = _root_mean_square(distinct[n_below:] - median) or _root_mean_square(distinct - median) or 1.0
        # ranks are dense: all failed trials together take the first
        n_ranks = n_below + (n_failed > 0)
        denominator = n_ranks + 0.5 * (distinct[n_below] == median)
        below = median + spread * ndtri(0.5 * (np.arange(n_ranks) + 0.5) / denominator)
        warped = distinct.copy()
        warped[:n_below] = below[n_ranks - n_below :]
        failed = float(below[0]) if n_failed else median
        mean = float(counts @ warped + n_failed * failed) / len(scores)
        scale = float(np.sqrt((counts @ np.square(warped - mean) + n_failed * (failed - mean) ** 2) / len(scores)))
        if scale < _NO_SPREAD:
            return cls(distinct, np.zeros_like(distinct), 0.0, 0.0, exponent)
        slope = scale if len(distinct) > 1 else 0.0
        return cls(distinct, (warped - mean) / scale, float(failed - mean) / scale, slope, exponent)

    def transform(self, scores: Array) -> Array:
        """Images of scores the warp was made for; nan gives the image of a failed trial."""
        scaled = np.ldexp(scores, -self.exponent)
        position = np.minimum(np.searchsorted(self.scores, scaled), len(self.scores) - 1)
        return np.where(np.isfinite(scores), self.warped[position], self.failed)

    def inverse(self, z: Array) -> Array:
        """Scores with the given images, linear between those observed and beyond them."""
        if self.slope == 0.0:
            return np.full_like(z, np.ldexp(self.scores[0], self.exponent))
        scores, images = self._extended()
        with np.errstate(over="ignore"):  # a score near the largest float may be extrapolated to inf
            return np.asarray(np.ldexp(np.interp(z, images, scores), self.exponent))

    def deviations(self, scores: Array, deviations: Array) -> Array:
        """Standard deviations of z, given those of scores: half the distance between one above and one below.

        0 for failed trials and where all scores are equal.
        """
        if self.slope == 0.0:
            return np.zeros_like(scores)
        knots, images = self._extended()
        center, spread = np.ldexp(scores, -self.exponent), np.ldexp(deviations, -self.exponent)
        halves = 0.5 * (np.interp(center + spread, knots, images) - np.interp(center - spread, knots, images))
        return np.where(np.isfinite(scores), halves, 0.0)

    def in_good_half(self, deviation: float) -> float:
        """Standard deviation of z, given that of a score of the good half; 0 when all scores are equal."""
        unit = float(np.ldexp(self.slope, self.exponent))
        return deviation / unit if unit else 0.0

    def _extended(self) -> tuple[Array, Array]:
        """Distinct scores and their images, continued straight on at both ends."""
        reach = _REACH * np.array([-1.0, 1.0])
        ends = self.scores[[0, -1]] + self.slope * reach
        scores = np.concatenate([ends[:1], self.scores, ends[1:]])
        return scores, np.concatenate([self.warped[:1] + reach[0], self.warped, self.warped[-1:] + reach[1]])


def _root_mean_square(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
