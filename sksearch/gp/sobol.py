"""Scrambled Sobol sequences, the same for every version of scipy.

Notation: d columns, `_BITS` binary digits per coordinate. Point i of a Sobol sequence is the
exclusive or of the direction numbers (one per digit of the Gray code of i).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from sksearch.gp.features import Array

_BITS = 30
_MOST_POINTS = 4096


def uniform_points(n_points: int, n_columns: int, rng: np.random.Generator) -> Array:
    """First points of a Sobol sequence scrambled by `rng`, inside the open unit cube.

    Each column's digits are multiplied by a random lower triangular binary matrix and shifted by
    random digits (Matousek, 1998, Section 4); that keeps the even spread of every prefix whose
    length is a power of 2. Fewer points with an equal `rng` are a prefix of more.

    Parameters
    ----------
    n_points : int
        A power of 2, at most 4096.
    n_columns : int
    rng : numpy.random.Generator

    Returns
    -------
    (n_points, n_columns) array

    Examples
    --------
    >>> points = uniform_points(4, 2, np.random.default_rng(0))
    >>> np.sort(np.floor(4 * points), axis=0).T.tolist()
    [[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]]
    """
    digit = np.arange(_BITS)[:, None]
    # digit k of the product: of the given digits k itself and a random choice of the more significant ones
    rows = rng.integers(1 << _BITS, size=(_BITS, n_columns)) >> (digit + 1) << (digit + 1) | 1 << digit
    points = rng.integers(1 << _BITS, size=(1, n_columns))
    for direction in _directions(n_columns)[: n_points.bit_length() - 1]:
        scrambled = np.sum(_parity(rows & direction) << digit, axis=0)
        # the Gray code of the second half is that of the first, backwards, with one more digit
        points = np.vstack([points, points[::-1] ^ scrambled])
    return np.asarray((points + 0.5) / (1 << _BITS))


@lru_cache(maxsize=16)
def _directions(n_columns: int) -> NDArray[np.int64]:
    """Direction numbers of the first log2(`_MOST_POINTS`) digits, read off the plain sequence."""
    plain = qmc.Sobol(n_columns, scramble=False, bits=_BITS).random(_MOST_POINTS)
    numbers = (plain * (1 << _BITS)).astype(np.int64)
    # the Gray code of 2**(k + 1) - 1 is digit k alone
    return numbers[2 ** np.arange(1, _MOST_POINTS.bit_length()) - 1]


def _parity(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 where the number of binary ones is odd."""
    for shift in (16, 8, 4, 2, 1):
        numbers = numbers ^ (numbers >> shift)
    return numbers & 1
