"""Points of the unit cube as features whose weighted squared distance the kernel takes.

Notation: m points, d columns, p features.
points (m, d) coordinates in [0, 1], nan where a column is inactive ·
n_categories (d,) number of categories of an unordered column, 0 for an ordered one ·
groups (p,) column of each feature
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.intp]


def expand(points: Array, n_categories: Sequence[int]) -> tuple[Array, Indices]:
    """Features of points, and the column each feature comes from.

    An ordered column is its own feature, 0.5 where inactive. A column of C categories becomes C
    indicators over sqrt(2): two categories are then at squared distance 1 (Hamming) and an
    inactive coordinate, all zeros, at 1/2 from each. Being a map into a Euclidean space, it keeps
    every kernel of the distance positive semidefinite, conditional spaces included.

    Parameters
    ----------
    points : (m, d) array
        Category i of C has the coordinate (i + 0.5) / C; any coordinate of its cell will do.
    n_categories : sequence of d ints

    Returns
    -------
    features : (m, p) array
    groups : (p,) array

    Examples
    --------
    >>> features, groups = expand(np.array([[0.3, 0.75], [np.nan, 0.25]]), [0, 2])
    >>> features.round(3).tolist(), groups.tolist()
    ([[0.3, 0.0, 0.707], [0.5, 0.707, 0.0]], [0, 1, 1])
    """
    blocks: list[Array] = []
    for column, n_levels in enumerate(n_categories):
        coordinate = points[:, column]
        if n_levels == 0:
            blocks.append(np.where(np.isnan(coordinate), 0.5, coordinate)[:, None])
        else:
            # nan compares unequal to every level, which leaves the row zero
            level = np.minimum(np.floor(coordinate * n_levels), n_levels - 1)
            blocks.append((level[:, None] == np.arange(n_levels)) * np.sqrt(0.5))
    return np.hstack(blocks), feature_groups(n_categories)


def feature_groups(n_categories: Sequence[int]) -> Indices:
    """Column of each feature that `expand` makes.

    >>> feature_groups([0, 3, 0]).tolist()
    [0, 1, 1, 1, 2]
    """
    return np.repeat(np.arange(len(n_categories)), np.maximum(np.asarray(n_categories, dtype=np.intp), 1))
