"""Exact Gaussian-process regression with a product Matern-5/2 kernel, one lengthscale per column.

Notation: n observations, m queries, d columns, p features (see `features`).
X (n, p) observed features · y (n,) standardised scores · l (d,) lengthscales ·
Z (n, p) features over the lengthscale of their column · R2 squared distance of rows of Z ·
A (n, n) = K + noise_variance * I · L (n, n) lower Cholesky factor of A · theta (d + 1,) = log (l, noise_variance)

The prior variance of the latent function is fixed to 1 (scores are standardised), its mean is a
constant estimated by generalised least squares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize

from sksearch.gp.features import Array, Indices, column_distances

LENGTHSCALE_BOUNDS = (0.025, 100.0)
NOISE_BOUNDS = (1e-6, 2.0)
_LOG_LENGTHSCALE_VARIANCE = 3.0
_LOG_NOISE_MEAN = -4.0
_JITTERS = (0.0, 1e-8, 1e-6, 1e-4, 1e-2, 1.0)


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What the kernel and the likelihood are told, or fitted to."""

    lengthscales: Array
    """(d,) one per column."""
    noise_variance: float


def matern52(squared_distances: Array) -> tuple[Array, Array]:
    r"""Kernel :math:`k` and :math:`-2\,\partial k / \partial R^2`, both from one exponential.

    :math:`k = (1 + r + r^2 / 3) e^{-r}` with :math:`r = \sqrt{5 R^2}`
    (Rasmussen and Williams, 2006, Equation 4.17).

    >>> k, slope = matern52(np.array([0.0, 0.2]))
    >>> k.round(4).tolist(), slope.round(4).tolist()
    ([1.0, 0.8584], [1.6667, 1.2263])
    """
    r = np.sqrt(5.0 * squared_distances)
    decay = np.exp(-r)
    return np.asarray((1.0 + r + r * r / 3.0) * decay), np.asarray((5.0 / 3.0) * (1.0 + r) * decay)


def squared_distances(rows: Array, others: Array) -> Array:
    """All pairs; rounding is about 1e-16 times the squared norms, below what Matern-5/2 resolves."""
    norms = np.einsum("ij,ij->i", rows, rows)[:, None] + np.einsum("ij,ij->i", others, others)
    return np.asarray(np.maximum(norms - 2.0 * (rows @ others.T), 0.0))


def cholesky(matrix: Array) -> Array:
    """Lower factor of a covariance matrix; where rounding makes it indefinite, of the matrix plus jitter.

    >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]])).tolist()
    [[2.0, 0.0], [1.0, 1.0]]
    """
    scale = float(np.mean(np.diagonal(matrix)))
    for jitter in _JITTERS:
        raised = matrix.copy(order="F")
        np.einsum("ii->i", raised)[...] += jitter * scale
        factor, info = lapack.dpotrf(raised, lower=True, clean=True, overwrite_a=True)
        if info == 0 and np.isfinite(factor[-1, -1]):
            return np.asarray(factor)
    raise ValueError("the covariance matrix is not finite; scale the features to [0, 1] and standardise the scores.")


def solve_lower(factor: Array, right: Array, *, transposed: bool = False) -> Array:
    """Solve `factor @ x = right`, or with the transposed factor."""
    solution, _ = lapack.dtrtrs(factor, right, lower=True, trans=int(transposed))
    return np.asarray(solution)


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """A posterior: the prior conditioned on n observations.

    Examples
    --------
    >>> X, groups = np.array([[0.2], [0.5], [0.9]]), np.array([0])
    >>> y, hyperparameters = np.array([1.0, 0.0, -1.0]), Hyperparameters(np.array([0.5]), noise_variance=1e-6)
    >>> process = GaussianProcess.condition(X, groups, y, hyperparameters)
    >>> mean, variance = process.posterior(np.array([[0.5], [0.7]]))
    >>> mean.round(2).tolist(), variance.round(3).tolist()
    ([0.0, -0.66], [0.0, 0.04])
    """

    hyperparameters: Hyperparameters
    scales: Array
    """(p,) lengthscale of each feature."""
    scaled: Array
    """(n, p) Z."""
    factor: Array
    """(n, n) L."""
    mean: float
    """Prior mean."""
    whitened: Array
    """(n,) or (n, s) L^-1 (y - mean)."""

    @classmethod
    def condition(cls, features: Array, groups: Indices, y: Array, hyperparameters: Hyperparameters) -> GaussianProcess:
        """Posterior given `y` at `features`, for these hyperparameters."""
        scales = hyperparameters.lengthscales[groups]
        scaled = features / scales
        covariance = matern52(squared_distances(scaled, scaled))[0]
        np.einsum("ii->i", covariance)[...] = 1.0 + hyperparameters.noise_variance
        factor = cholesky(covariance)
        ones, target = solve_lower(factor, np.column_stack([np.ones_like(y), y])).T
        mean = float(ones @ target / (ones @ ones))
        return cls(hyperparameters, scales, scaled, factor, mean, target - mean * ones)

    @property
    def weights(self) -> Array:
        """(n,) or (n, s) A^-1 (y - mean)."""
        return solve_lower(self.factor, self.whitened, transposed=True)

    def posterior(self, queries: Array) -> tuple[Array, Array]:
        """Mean (m,) or (s, m) and variance (m,) of the latent function at (m, p) features."""
        covariance, _ = matern52(squared_distances(queries / self.scales, self.scaled))
        half = solve_lower(self.factor, covariance.T)
        return self.mean + self.whitened.T @ half, np.maximum(1.0 - np.einsum("ij,ij->j", half, half), 0.0)

    def extend(self, queries: Array, normals: Array) -> tuple[GaussianProcess, Array]:
        """Condition on imagined observations at (m, p) features.

        With the predictive distribution N(mean, C C') of the noisy observations there, standard
        normal `normals` (m, s) stand for the s imagined outcomes mean + C normals. Appending rows
        to the factor, C is its new diagonal block and `normals` the new rows of L^-1 (y - mean):
        no solve is needed.

        Returns
        -------
        process : GaussianProcess
            Its `whitened` is (n + m, s): one column per imagined outcome.
        outcomes : (m, s) array
        """
        scaled = queries / self.scales
        cross, _ = matern52(squared_distances(self.scaled, scaled))
        half = solve_lower(self.factor, cross)
        own, _ = matern52(squared_distances(scaled, scaled))
        np.einsum("ii->i", own)[...] = 1.0 + self.hyperparameters.noise_variance
        corner = cholesky(own - half.T @ half)
        n = len(self.scaled)
        factor = np.zeros((n + len(queries),) * 2, order="F")
        factor[:n, :n], factor[n:, :n], factor[n:, n:] = self.factor, half.T, corner
        whitened = np.vstack([np.repeat(self.whitened[:, None], normals.shape[1], axis=1), normals])
        outcomes = (self.mean + half.T @ self.whitened)[:, None] + corner @ normals
        rows = np.vstack([self.scaled, scaled])
        return GaussianProcess(self.hyperparameters, self.scales, rows, factor, self.mean, whitened), outcomes


def log_prior(theta: Array) -> tuple[float, Array]:
    """Log density of the hyperparameters, without constants, and its gradient in `theta`.

    Each lengthscale is LogNormal(sqrt(2) + log(d) / 2, sqrt(3)) (Hvarfner, Hellsten and Nardi,
    2024, Section 5), the noise variance LogNormal(-4, 1). The densities are those of l and of the
    variance themselves, not of their logarithms, hence the terms linear in theta: the mode is then
    l = 0.205 sqrt(d), not 4.1 sqrt(d).
    """
    center = math.sqrt(2.0) + 0.5 * math.log(len(theta) - 1)
    lengths, noise = theta[:-1] - center, theta[-1] - _LOG_NOISE_MEAN
    value = -float(np.sum(lengths**2 / (2.0 * _LOG_LENGTHSCALE_VARIANCE) + theta[:-1]) + noise**2 / 2.0 + theta[-1])
    return value, -np.append(lengths / _LOG_LENGTHSCALE_VARIANCE + 1.0, noise + 1.0)


def negative_log_posterior(theta: Array, distances: Array, y: Array) -> tuple[float, Array]:
    r"""What the MAP fit minimises, and its gradient.

    With :math:`\alpha = A^{-1}(y - \mu)` it is :math:`\frac12 (y - \mu)^\top\alpha + \sum_i \log L_{ii}`
    minus the log prior; :math:`\mu` is at its optimum for every theta, so its own derivative
    drops out. With :math:`G = A^{-1} - \alpha\alpha^\top` the derivative in any log parameter is
    :math:`\frac12 \sum G \circ \partial A` (Rasmussen and Williams, 2006, Equation 5.9).

    Parameters
    ----------
    theta : (d + 1,) array
    distances : (d, n, n) array
        Squared distances of the observations by column, in features not yet scaled.
    y : (n,) array
    """
    n = len(y)
    precisions, noise = np.exp(-2.0 * theta[:-1]), math.exp(theta[-1])
    flat = distances.reshape(len(precisions), -1)
    covariance, slope = matern52((precisions @ flat).reshape(n, n))
    np.einsum("ii->i", covariance)[...] += noise
    factor = cholesky(covariance)
    half = lapack.dpotri(factor, lower=True)[0]
    inverse = half + np.tril(half, -1).T
    inverse_ones = inverse.sum(axis=0)
    mean = (inverse_ones @ y) / inverse_ones.sum()
    weights = inverse @ (y - mean)
    gap = inverse - np.multiply.outer(weights, weights)
    prior, prior_gradient = log_prior(theta)
    value = 0.5 * float((y - mean) @ weights) + float(np.log(np.diagonal(factor)).sum()) - prior
    by_column = 0.5 * precisions * (flat @ (gap * slope).ravel())
    return value, np.append(by_column, 0.5 * noise * float(np.trace(gap))) - prior_gradient


def default_starts(n_columns: int) -> list[Array]:
    """Where the fit starts: at the prior's mode (no shorter than 0.3), and at long lengthscales with much noise.

    The likelihood of few points often has two modes, signal and noise; one start in each.
    """
    mode = math.exp(math.sqrt(2.0) - _LOG_LENGTHSCALE_VARIANCE) * math.sqrt(n_columns)
    return [
        np.append(np.full(n_columns, math.log(max(mode, 0.3))), -4.0),
        np.append(np.full(n_columns, math.log(1.5)), -2.0),
    ]


def fit(features: Array, groups: Indices, y: Array, *, starts: Sequence[Array] | None = None) -> Hyperparameters:
    """Hyperparameters of largest posterior density, by L-BFGS-B from each start.

    Parameters
    ----------
    features : (n, p) array
    groups : (p,) array
    y : (n,) array
        Standardised.
    starts : sequence of (d + 1,) arrays, optional
        Values of theta; `default_starts` if not given.

    Examples
    --------
    >>> X = np.linspace(0, 1, 12)[:, None]
    >>> found = fit(X, np.array([0]), np.sqrt(2) * np.sin(6.28 * X[:, 0]))
    >>> bool(0.1 < found.lengthscales[0] < 1.0), found.noise_variance < 1e-2
    (True, True)
    """
    n_columns = int(groups[-1]) + 1
    distances = column_distances(features, groups)
    low, high = np.log(LENGTHSCALE_BOUNDS)
    bounds = [(float(low), float(high))] * n_columns + [(math.log(NOISE_BOUNDS[0]), math.log(NOISE_BOUNDS[1]))]
    found = [
        minimize(
            negative_log_posterior,
            start,
            args=(distances, y),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 50, "gtol": 1e-2, "ftol": 1e-6},
        )
        for start in (default_starts(n_columns) if starts is None else starts)
    ]
    theta = min(found, key=lambda result: float(result.fun)).x
    return Hyperparameters(np.exp(theta[:-1]), math.exp(theta[-1]))
