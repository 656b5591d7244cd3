"""From features to the rows whose squared distance the kernel takes: warped, then scaled.

Notation: m rows, d columns, p features (see `features`) · x a feature in [0, 1] · w its image
a, b exponents of the warp, 1 where a column is not warped · Z (m, p) images over the lengthscale of their column
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sksearch.gp.features import Array, Indices

_EDGE = 1e-6
"""Distance from 0 and 1 at which the derivatives of the warp are still finite."""


def kumaraswamy(x: Array, a: Array, b: Array) -> tuple[Array, Array, Array, Array]:
    r"""The distribution function :math:`w = 1 - (1 - x^a)^b`, and its derivatives in x, log a and log b.

    A monotone map of [0, 1] onto itself that stretches one end (Snoek, Swersky, Zemel and Adams, 2014,
    Section 3, with the distribution of Kumaraswamy in place of the beta).

    Examples
    --------
    >>> [float(part[0]) for part in kumaraswamy(np.array([0.25]), np.array([0.5]), np.array([1.0]))[:2]]
    [0.5, 1.0]
    """
    x = np.clip(x, _EDGE, 1.0 - _EDGE)
    power = x**a
    rest = -np.expm1(a * np.log(x))  # 1 - x**a
    tail = rest**b
    inner = b * tail / rest * power
    return 1.0 - tail, inner * a / x, inner * a * np.log(x), -b * tail * np.log(rest)


@dataclass(frozen=True, slots=True)
class Embedding:
    """Where a feature lies for the kernel.

    Examples
    --------
    >>> embedding = Embedding.of(np.array([0.5, 2.0]), np.array([0, 1]))
    >>> embedding(np.array([[0.5, 0.5]])).tolist()
    [[1.0, 0.25]]
    """

    scales: Array
    """(p,) lengthscale of each feature."""
    warped: Indices
    """(q,) features that are warped."""
    exponents: Array
    """(2, q) a and b."""

    @classmethod
    def of(cls, lengthscales: Array, groups: Indices, exponents: Array | None = None) -> Embedding:
        """From (d,) lengthscales and (2, d) exponents by column; None: no warp."""
        if exponents is None:
            return cls(lengthscales[groups], np.empty(0, dtype=np.intp), np.empty((2, 0)))
        by_feature = exponents[:, groups]
        warped = np.flatnonzero(np.any(by_feature != 1.0, axis=0))
        return cls(lengthscales[groups], warped, by_feature[:, warped])

    def __call__(self, features: Array) -> Array:
        """Z (m, p) of (m, p) features."""
        if len(self.warped):
            features = features.copy()
            features[:, self.warped] = kumaraswamy(features[:, self.warped], *self.exponents)[0]
        return features / self.scales

    def pull_back(self, features: Array, gradient: Array) -> Array:
        """The gradient in features, from that in Z; both (m, p)."""
        gradient = gradient / self.scales
        if len(self.warped):
            gradient[:, self.warped] *= kumaraswamy(features[:, self.warped], *self.exponents)[1]
        return gradient
