"""Exact Gaussian-process regression with a product Matern-5/2 kernel, one lengthscale per column.

Notation: n observations, m queries, d columns, p features (see `features`).
X (n, p) observed features · y (n,) standardised scores · l (d,) lengthscales ·
Z (n, p) features as the kernel sees them, warped and over their lengthscale (see `warping`) ·
R2 squared distance of rows of Z ·
extra (n,) known variance of each observation on top of the common noise ·
A (n, n) = K + diag(noise_variance + extra) · L (n, n) lower Cholesky factor of A ·
theta (d + 1 + 2 q,) = log (l, noise_variance, a, b) with the exponents of the warp of q columns

The prior variance of the latent function is fixed to 1 (scores are standardised), its mean is a
constant estimated by generalised least squares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize

from sksearch.gp.features import Array, Indices
from sksearch.gp.warping import Embedding, kumaraswamy

LENGTHSCALE_BOUNDS = (0.025, 100.0)
NOISE_BOUNDS = (1e-6, 2.0)
EXPONENT_BOUNDS = (0.2, 5.0)
_LOG_LENGTHSCALE_VARIANCE = 3.0
EXPECTED_NOISE = math.exp(-4.0)
"""Median of the prior of the noise variance where nothing is known of it."""
_LOG_EXPONENT_SD = 0.75
_JITTERS = (0.0, 1e-8, 1e-6, 1e-4, 1e-2, 1.0)


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What the kernel and the likelihood are told, or fitted to."""

    lengthscales: Array
    """(d,) one per column."""
    noise_variance: float
    exponents: Array | None = None
    """(2, d) exponents of the warp of each column, 1 where it has none; None: no column has one."""


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
class Design:
    """The prior at the places of n observations: all of a posterior that does not depend on the outcomes."""

    hyperparameters: Hyperparameters
    embedding: Embedding
    """Features to Z."""
    rows: Array
    """(n, p) Z."""
    factor: Array
    """(n, n) L."""

    @classmethod
    def of(
        cls, features: Array, groups: Indices, hyperparameters: Hyperparameters, extra: Array | float = 0.0
    ) -> Design:
        """For observations at (n, p) features, with `extra` variance on top of the noise."""
        embedding = Embedding.of(hyperparameters.lengthscales, groups, hyperparameters.exponents)
        rows = embedding(features)
        return cls(hyperparameters, embedding, rows, cholesky(_covariance(rows, hyperparameters, extra)))

    def append(self, features: Array, extra: Array | float = 0.0) -> Design:
        """With observations at (m, p) features after the n it has, in O(n^2 m): no part of the factor changes."""
        n, rows = len(self.rows), self.embedding(features)
        cross, _ = matern52(squared_distances(self.rows, rows))
        half = solve_lower(self.factor, cross)
        corner = cholesky(_covariance(rows, self.hyperparameters, extra) - half.T @ half)
        factor = np.zeros((n + len(rows),) * 2, order="F")
        factor[:n, :n], factor[n:, :n], factor[n:, n:] = self.factor, half.T, corner
        return Design(self.hyperparameters, self.embedding, np.vstack([self.rows, rows]), factor)

    def given(self, y: Array) -> GaussianProcess:
        """The posterior given (n,) outcomes."""
        ones, target = solve_lower(self.factor, np.column_stack([np.ones_like(y), y])).T
        mean = float(ones @ target / (ones @ ones))
        return GaussianProcess(self, mean, target - mean * ones)


def _covariance(rows: Array, hyperparameters: Hyperparameters, extra: Array | float) -> Array:
    covariance, _ = matern52(squared_distances(rows, rows))
    np.einsum("ii->i", covariance)[...] = 1.0 + hyperparameters.noise_variance + extra
    return covariance


@dataclass(frozen=True, slots=True)
class Queries:
    """A design seen from m queries: what a posterior there needs, and the way back from it to the features.

    Any function of the posterior is one of `kernel`, the covariances with the observations.
    """

    design: Design
    features: Array
    """(m, p)."""
    rows: Array
    """(m, p) Z."""
    kernel: Array
    """(m, n)."""
    slope: Array
    """(m, n) its derivative, -2 dk/dR2."""
    half: Array
    """(n, m) L^-1 k."""

    @classmethod
    def of(cls, design: Design, features: Array) -> Queries:
        """At (m, p) features."""
        rows = design.embedding(features)
        kernel, slope = matern52(squared_distances(rows, design.rows))
        return cls(design, features, rows, kernel, slope, solve_lower(design.factor, kernel.T))

    def variance(self) -> Array:
        """(m,) posterior variance of the latent function."""
        return np.asarray(np.maximum(1.0 - np.einsum("ij,ij->j", self.half, self.half), 0.0))

    def solved(self) -> Array:
        """(m, n) A^-1 k: minus half the derivative of the variance in the kernel."""
        return solve_lower(self.design.factor, self.half, transposed=True).T

    def pull_back(self, by_kernel: Array) -> Array:
        """Gradients (m, p) in the features of functions with derivatives (m, n) in the kernel."""
        back = -self.slope * by_kernel
        by_rows = back.sum(axis=1)[:, None] * self.rows - back @ self.design.rows
        return self.design.embedding.pull_back(self.features, by_rows)


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """A posterior: the prior conditioned on n observations.

    Examples
    --------
    >>> X, groups = np.array([[0.2], [0.5], [0.9]]), np.array([0])
    >>> y, hyperparameters = np.array([1.0, 0.0, -1.0]), Hyperparameters(np.array([0.5]), noise_variance=1e-6)
    >>> process = Design.of(X, groups, hyperparameters).given(y)
    >>> mean, variance = process.posterior(np.array([[0.5], [0.7]]))
    >>> mean.round(2).tolist(), variance.round(3).tolist()
    ([0.0, -0.66], [0.0, 0.04])
    """

    design: Design
    mean: float
    """Prior mean."""
    whitened: Array
    """(n,) or (n, s) L^-1 (y - mean)."""

    @property
    def weights(self) -> Array:
        """(n,) or (n, s) A^-1 (y - mean)."""
        return solve_lower(self.design.factor, self.whitened, transposed=True)

    def posterior(self, queries: Array) -> tuple[Array, Array]:
        """Mean (m,) or (s, m) and variance (m,) of the latent function at (m, p) features."""
        at = Queries.of(self.design, queries)
        return self.mean + self.whitened.T @ at.half, at.variance()

    def extend(self, queries: Array, normals: Array) -> tuple[GaussianProcess, Array]:
        """Condition on imagined values of the latent function at (m, p) features.

        With its posterior distribution N(mean, C C') there, standard normal `normals` (m, s) stand
        for the s imagined draws mean + C normals. Appending rows without noise to the factor, C is
        its new diagonal block and `normals` the new rows of L^-1 (y - mean): no solve is needed.

        Returns
        -------
        process : GaussianProcess
            Its `whitened` is (n + m, s): one column per draw.
        values : (m, s) array
        """
        n, design = len(self.whitened), self.design.append(queries, -self.design.hyperparameters.noise_variance)
        whitened = np.vstack([np.repeat(self.whitened[:, None], normals.shape[1], axis=1), normals])
        values = self.mean + design.factor[n:] @ whitened
        return GaussianProcess(design, self.mean, whitened), values


def log_prior(theta: Array, n_columns: int, expected_noise: float = EXPECTED_NOISE) -> tuple[float, Array]:
    """Log density of the hyperparameters, without constants, and its gradient in `theta`.

    Each lengthscale is LogNormal(sqrt(2) + log(d) / 2, sqrt(3)) (Hvarfner, Hellsten and Nardi,
    2024, Section 5), the noise variance LogNormal(log(expected_noise), 1). The densities are those of l and of the
    variance themselves, not of their logarithms, hence the terms linear in theta: the mode is then
    l = 0.205 sqrt(d), not 4.1 sqrt(d). The logarithms of the warp's exponents are
    Normal(0, 0.75^2), so no warp is likeliest.
    """
    center = math.sqrt(2.0) + 0.5 * math.log(n_columns)
    lengths, exponents = theta[:n_columns] - center, theta[n_columns + 1 :]
    noise = theta[n_columns] - math.log(expected_noise)
    value = -float(
        np.sum(lengths**2 / (2.0 * _LOG_LENGTHSCALE_VARIANCE) + theta[:n_columns])
        + noise**2 / 2.0
        + theta[n_columns]
        + np.sum(exponents**2) / (2.0 * _LOG_EXPONENT_SD**2)
    )
    by_length = lengths / _LOG_LENGTHSCALE_VARIANCE + 1.0
    return value, -np.concatenate([by_length, [noise + 1.0], exponents / _LOG_EXPONENT_SD**2])


@dataclass(frozen=True, slots=True)
class NegativeLogPosterior:
    r"""What the MAP fit minimises: a function of theta, and its gradient.

    With :math:`\alpha = A^{-1}(y - \mu)` it is :math:`\frac12 (y - \mu)^\top\alpha + \sum_i \log L_{ii}`
    minus the log prior; :math:`\mu` is at its optimum for every theta, so its own derivative
    drops out. With :math:`G = A^{-1} - \alpha\alpha^\top` the derivative in any log parameter is
    :math:`\frac12 \sum G \circ \partial A` (Rasmussen and Williams, 2006, Equation 5.9). Those of
    the kernel all go through Z: with :math:`B = G \circ (-2\,\partial k/\partial R^2)` the gradient
    in Z is :math:`BZ - \mathrm{diag}(B 1) Z`, and no array is larger than (n, n).
    """

    features: Array
    """(n, p)."""
    groups: Indices
    """(p,)."""
    y: Array
    """(n,) standardised."""
    extra: Array | float = 0.0
    """(n,) known variance of each observation, not part of theta."""
    warped: Sequence[int] = ()
    """The q columns whose warp is part of theta; each has one feature."""
    expected_noise: float = EXPECTED_NOISE
    """Median of the prior of the noise variance."""

    @property
    def n_columns(self) -> int:
        """Number d of columns."""
        return int(self.groups[-1]) + 1

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Of each component of theta."""
        counts = [(LENGTHSCALE_BOUNDS, self.n_columns), (NOISE_BOUNDS, 1), (EXPONENT_BOUNDS, 2 * len(self.warped))]
        return [(math.log(low), math.log(high)) for (low, high), count in counts for _ in range(count)]

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Value and (d + 1 + 2 q,) gradient at `theta`."""
        d = self.n_columns
        noise, scales = math.exp(theta[d]), np.exp(theta[:d])[self.groups]
        images, columns, slopes = self._warp(theta[d + 1 :])
        Z = images / scales
        covariance, slope = matern52(squared_distances(Z, Z))
        np.einsum("ii->i", covariance)[...] = 1.0 + noise + self.extra
        factor = cholesky(covariance)
        half = lapack.dpotri(factor, lower=True)[0]
        inverse = half + np.tril(half, -1).T
        inverse_ones = inverse.sum(axis=0)
        residual = self.y - (inverse_ones @ self.y) / inverse_ones.sum()
        weights = inverse @ residual
        gap = inverse - np.multiply.outer(weights, weights)
        prior, prior_gradient = log_prior(theta, d, self.expected_noise)
        # a copy: NumPy 1.25 rounds the logarithm of an array with gaps by where the result lies in memory
        log_root = float(np.log(np.diagonal(factor).copy()).sum())
        value = 0.5 * float(residual @ weights) + log_root - prior
        pull = gap * slope
        by_Z = pull @ Z - pull.sum(axis=1)[:, None] * Z
        by_scale = -np.bincount(self.groups, weights=np.einsum("ij,ij->j", by_Z, Z), minlength=d)
        by_exponent = [np.einsum("ij,ij->j", by_Z[:, columns] / scales[columns], part) for part in slopes]
        return value, np.concatenate([by_scale, [0.5 * noise * float(np.trace(gap))], *by_exponent]) - prior_gradient

    def _warp(self, log_exponents: Array) -> tuple[Array, Indices, tuple[Array, ...]]:
        """Images of the features; those that are warped, and their derivatives in log a and in log b."""
        columns = np.searchsorted(self.groups, self.warped)
        if not len(columns):
            return self.features, columns, ()
        images = self.features.copy()
        exponents = np.exp(log_exponents).reshape(2, -1)
        images[:, columns], _, *slopes = kumaraswamy(self.features[:, columns], *exponents)
        return images, columns, tuple(slopes)

    def hyperparameters(self, theta: Array) -> Hyperparameters:
        """What `theta` stands for."""
        d = self.n_columns
        if not len(self.warped):
            return Hyperparameters(np.exp(theta[:d]), math.exp(theta[d]))
        exponents = np.ones((2, d))
        exponents[:, self.warped] = np.exp(theta[d + 1 :]).reshape(2, -1)
        return Hyperparameters(np.exp(theta[:d]), math.exp(theta[d]), exponents)


def default_starts(n_columns: int) -> list[Array]:
    """Where the fit starts: at the prior's mode (no shorter than 0.3), and at long lengthscales with much noise.

    The likelihood of few points often has two modes, signal and noise; one start in each.
    """
    mode = math.exp(math.sqrt(2.0) - _LOG_LENGTHSCALE_VARIANCE) * math.sqrt(n_columns)
    return [
        np.append(np.full(n_columns, math.log(max(mode, 0.3))), -4.0),
        np.append(np.full(n_columns, math.log(1.5)), -2.0),
    ]


def fit(
    features: Array,
    groups: Indices,
    y: Array,
    extra: Array | float = 0.0,
    *,
    warped: Sequence[int] = (),
    expected_noise: float = EXPECTED_NOISE,
    warm_start: Array | None = None,
) -> tuple[Hyperparameters, Array]:
    """Hyperparameters of largest posterior density, by L-BFGS-B from each of `default_starts` and a warm start.

    The warp is fitted last, from none at all and the best of the other hyperparameters. It is kept
    only where the data ask for it: where the log posterior density rises by more than the number of its
    exponents (Akaike, 1974).

    Parameters
    ----------
    features : (n, p) array
    groups : (p,) array
    y : (n,) array
        Standardised.
    extra : (n,) array or float, default=0.0
        Known variance of the observations on top of the noise that is fitted.
    warped : sequence of q ints, default=()
        Ordered columns to fit a warp to.
    expected_noise : float, default=exp(-4)
        Median of the prior of the noise variance, in (standardised score)^2; moved into `NOISE_BOUNDS`.
    warm_start : (d + 1,) array or None
        What this function returned for fewer of the observations.

    Returns
    -------
    hyperparameters : Hyperparameters
    next_start : (d + 1,) array
        Theta that the default starts found: a function of these observations, not of the warm start.

    Examples
    --------
    >>> X = np.linspace(0, 1, 12)[:, None]
    >>> found, _ = fit(X, np.array([0]), np.sqrt(2) * np.sin(6.28 * X[:, 0]))
    >>> bool(0.1 < found.lengthscales[0] < 1.0), found.noise_variance < 1e-2
    (True, True)
    """
    expected_noise = min(max(expected_noise, NOISE_BOUNDS[0]), NOISE_BOUNDS[1])
    plain = NegativeLogPosterior(features, groups, y, extra, expected_noise=expected_noise)
    value, theta = min((_minimum(plain, start) for start in default_starts(plain.n_columns)), key=itemgetter(0))
    next_start = theta
    if warm_start is not None:
        value, theta = min((value, theta), _minimum(plain, warm_start), key=itemgetter(0))
    if len(warped):
        with_warp = NegativeLogPosterior(features, groups, y, extra, warped, expected_noise)
        lower, warped_theta = _minimum(with_warp, np.append(theta, np.zeros(2 * len(warped))))
        if value - lower > 2 * len(warped):
            return with_warp.hyperparameters(warped_theta), next_start
    return plain.hyperparameters(theta), next_start


def _minimum(objective: NegativeLogPosterior, start: Array) -> tuple[float, Array]:
    found = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=objective.bounds,
        options={"maxiter": 50, "gtol": 1e-2, "ftol": 1e-6},
    )
    return float(found.fun), found.x
