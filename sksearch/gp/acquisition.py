r"""Log expected improvement over a noisy incumbent, with and without pending evaluations.

Notation: m queries, n observations, p features, s imagined functions.
phi, Phi density and distribution function of the standard normal ·
h(z) = phi(z) + z Phi(z), so that the expected improvement over `best` is sd * h((mean - best) / sd)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from sksearch.gp.features import Array
from sksearch.gp.regression import GaussianProcess, Queries

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
_FAR = -100.0
"""Below it the asymptotic series is exact in float64; above, the bracket loses at most 1e-16 * 100**2 of itself."""
_HUGE = 1e150
"""Its square is still a float."""
_SD_FLOOR = 1e-6


def log_h(z: Array) -> tuple[Array, Array]:
    r"""Value and derivative of :math:`\log h(z)`, accurate for every \|z\| <= 1e150 (others are moved there).

    Above -1 by definition. Below, with the Mills ratio
    :math:`M = \Phi(z)/\phi(z) = \sqrt{\pi/2}\,\mathrm{erfcx}(-z/\sqrt2)`,
    :math:`h = \phi\,(1 - |z| M)` and the bracket is taken as `-expm1(log(|z| M))`
    (Ament et al., 2023, Equation 9). Below -100 by
    :math:`h = \phi\, z^{-2}(1 - 3 z^{-2} + 15 z^{-4} - 105 z^{-6} + \dots)`, its logarithm expanded.

    Examples
    --------
    >>> [value.round(9).tolist() for value in log_h(np.array([0.0, -10.0]))]
    [[-0.918938533, -55.553122036], [1.253314137, 10.194383033]]
    """
    z = np.clip(z, -_HUGE, _HUGE)
    value, derivative = np.empty_like(z), np.empty_like(z)
    near = z > -1.0
    if near.any():
        x = z[near]
        cumulative = ndtr(x)
        h = np.exp(-0.5 * x * x - _LOG_SQRT_2PI) + x * cumulative
        value[near], derivative[near] = np.log(h), cumulative / h
    tail = (z <= -1.0) & (z > _FAR)
    if tail.any():
        x = -z[tail]
        mills = _SQRT_HALF_PI * erfcx(x * math.sqrt(0.5))
        bracket = -np.expm1(np.log(x * mills))
        value[tail], derivative[tail] = np.log(bracket) - 0.5 * x * x - _LOG_SQRT_2PI, mills / bracket
    far = z <= _FAR
    if far.any():
        x = -z[far]
        u = 1.0 / x / x
        value[far] = -0.5 * x * x - _LOG_SQRT_2PI - 2.0 * np.log(x) - u * (3.0 - u * (10.5 - 69.0 * u))
        derivative[far] = x + (2.0 - u * (6.0 - u * (42.0 - 414.0 * u))) / x
    return value, derivative


@dataclass(frozen=True, slots=True)
class LogExpectedImprovement:
    r"""Logarithm of the expected improvement over the best of the known points, averaged over what their values may be.

    Observations are noisy, so it is not known which point is the best, and how good it is; and of a
    pending one nothing was observed. So the values of the function at these points are drawn jointly
    from the posterior. Draw :math:`j` of the s changes the posterior mean and has an incumbent of its
    own, its largest value; the posterior variance is the same for all. The value is
    :math:`\log \frac1s \sum_j \mathrm{EI}(x \mid \text{draw } j)` (Letham, Karrer, Ottoni and Bakshy,
    2019, Equation 5). Without noise and pending points it is the plain one.

    References
    ----------
    B. Letham, B. Karrer, G. Ottoni, E. Bakshy (2019): Constrained Bayesian optimization with noisy
    experiments. Bayesian Analysis 14(2).

    Examples
    --------
    >>> from sksearch.gp.regression import Design, Hyperparameters
    >>> X, groups, y = np.array([[0.1], [0.5], [0.8]]), np.array([0]), np.array([-1.0, 0.0, 1.0])
    >>> process = Design.of(X, groups, Hyperparameters(np.array([0.5]), 1e-4)).given(y)
    >>> acquisition = LogExpectedImprovement.of(process, X, np.zeros((3, 1)))
    >>> acquisition(np.array([[0.3], [0.9]])).round(1).tolist()
    [-41.7, -1.9]
    """

    process: GaussianProcess
    """Conditioned on the observations and, below them, on the values of the function that were drawn."""
    weights: Array
    """(n, s) A^-1 (y - mean), one column per draw."""
    best: Array
    """(s,) incumbents."""

    @classmethod
    def of(cls, process: GaussianProcess, known: Array, normals: Array) -> LogExpectedImprovement:
        """The acquisition over the best of the known points.

        Parameters
        ----------
        process : GaussianProcess
        known : (k, p) array
            Features of the evaluated points that may be the best, and of the pending ones.
        normals : (k, s) array
            Standard normal draws that become values of the function there; zeros for the posterior
            mean ("kriging believer").
        """
        extended, values = process.extend(known, normals)
        return cls(extended, extended.weights, values.max(axis=0))

    def __call__(self, features: Array) -> Array:
        """Values (m,) at (m, p) features."""
        at = Queries.of(self.process.design, features)
        sd = _deviations(at)
        value, _ = log_h((self.process.mean + at.kernel @ self.weights - self.best) / sd[:, None])
        return _log_sum_exp(value) + np.log(sd / len(self.best))

    def value_and_gradient(self, features: Array) -> tuple[Array, Array]:
        """Values (m,) and gradients (m, p) at (m, p) features."""
        at = Queries.of(self.process.design, features)
        sd = _deviations(at)
        z = (self.process.mean + at.kernel @ self.weights - self.best) / sd[:, None]
        each, ratio = log_h(z)
        total = _log_sum_exp(each)
        # d log EI = sum_j share_j ratio_j (d mean_j - z_j d sd) / sd + d sd / sd, and each mean_j is linear in the
        # kernel: one weight per query and observation carries both terms back to it
        share = np.exp(each - total[:, None]) * ratio
        by_mean = share @ self.weights.T
        by_sd = (1.0 - np.einsum("ij,ij->i", share, z)) * (sd > _SD_FLOOR)
        by_kernel = (by_mean - (by_sd / sd)[:, None] * at.solved()) / sd[:, None]
        return total + np.log(sd / len(self.best)), at.pull_back(by_kernel)


@dataclass(frozen=True, slots=True)
class WhereFeasible:
    r"""Logarithm of the expected improvement times the probability that an evaluation does not fail.

    A second process is conditioned on labels, 1 for a success and -1 for a failure; with its mean m
    and variance v the probability is :math:`\Phi(m / \sqrt{v + s})`, s its noise variance (Rasmussen
    and Williams, 2006, Section 6.5: regression of labels; Gelbart, Snoek and Adams, 2014, Equation 4:
    the product).

    Examples
    --------
    >>> from sksearch.gp.regression import Design, Hyperparameters
    >>> X = np.array([[0.1], [0.4], [0.9]])
    >>> design = Design.of(X, np.array([0]), Hyperparameters(np.array([0.5]), noise_variance=0.1))
    >>> improvement = LogExpectedImprovement.of(design.given(np.array([-1.0, 0.0, 1.0])), X, np.zeros((3, 1)))
    >>> acquisition = WhereFeasible(improvement, design.given(np.array([1.0, 1.0, -1.0])))
    >>> (improvement(X) - acquisition(X)).round(2).tolist()  # what the failure at 0.9 costs
    [0.01, 0.02, 3.56]
    """

    improvement: LogExpectedImprovement
    labels: GaussianProcess

    @property
    def process(self) -> GaussianProcess:
        """The one of the scores, which has a row for each known point."""
        return self.improvement.process

    def __call__(self, features: Array) -> Array:
        """Values (m,) at (m, p) features."""
        mean, variance = self.labels.posterior(features)
        noise = self.labels.design.hyperparameters.noise_variance
        return np.asarray(self.improvement(features) + log_ndtr(mean / np.sqrt(variance + noise)))

    def value_and_gradient(self, features: Array) -> tuple[Array, Array]:
        """Values (m,) and gradients (m, p) at (m, p) features."""
        value, gradient = self.improvement.value_and_gradient(features)
        at = Queries.of(self.labels.design, features)
        spread = at.variance() + self.labels.design.hyperparameters.noise_variance
        t = (self.labels.mean + at.kernel @ self.labels.weights) / np.sqrt(spread)
        log_probability = log_ndtr(t)
        ratio = np.exp(-0.5 * t * t - _LOG_SQRT_2PI - log_probability)
        # d t = d mean / sqrt(spread) - t d spread / (2 spread), and d spread = -2 (A^-1 k) d k
        by_t = self.labels.weights / np.sqrt(spread)[:, None] + (t / spread)[:, None] * at.solved()
        return value + log_probability, gradient + at.pull_back(ratio[:, None] * by_t)


Acquisition: TypeAlias = LogExpectedImprovement | WhereFeasible


def _deviations(at: Queries) -> Array:
    """Posterior standard deviations (m,), of which the logarithm is finite."""
    return np.asarray(np.sqrt(np.maximum(at.variance(), _SD_FLOOR**2)))


def _log_sum_exp(values: Array) -> Array:
    """Over the columns of finite (m, s) values; scipy's, made for any array, takes ten times as long."""
    top = values.max(axis=1)
    return np.asarray(top + np.log(np.exp(values - top[:, None]).sum(axis=1)))
