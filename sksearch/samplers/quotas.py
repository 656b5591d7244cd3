"""At most so many trials from each branch of a space.

Notation: t known points, B branches. quotas (B,) · a branch is *closed* once it has its quota of known points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sksearch.gp.features import Array
from sksearch.gp.maximize import Domain
from sksearch.space import Space


@dataclass(frozen=True, slots=True)
class Quotas:
    """How many trials each branch may have.

    A trial belongs to the first branch that holds its parameters.

    Parameters
    ----------
    space : Space
    most : sequence of B ints, each at least 1

    Raises
    ------
    ValueError
        If `most` is not one positive int for each branch, or two branches are equal.

    Examples
    --------
    >>> space = Space.parse([{"kernel": ["linear"]}, {"kernel": ["rbf"], "gamma": [0.1, 1, 10]}], argument="param_grid")
    >>> known = np.array([space.encode({"kernel": "linear"})])
    >>> Quotas(space, [1, 2]).closed(known).tolist()
    [True, False]
    """

    space: Space
    most: Sequence[int]

    def __post_init__(self) -> None:
        if len(self.most) != len(self.space.branches) or min(self.most) < 1:
            raise ValueError(
                f"quotas must be one positive int for each of {len(self.space.branches)} branches, got {self.most!r}."
            )
        for position, branch in enumerate(self.space.branches):
            if branch in self.space.branches[:position]:
                earlier = self.space.branches.index(branch)
                raise ValueError(
                    f"{self.space.argument}[{position}] is the same as {self.space.argument}[{earlier}], and a trial "
                    "counts for one of them only; write it once, with the sum of their quotas."
                )

    def closed(self, known: Array) -> NDArray[np.bool_]:
        """(B,) whether each branch has used its quota, given the (t, d) points of all trials."""
        used = np.bincount(self.space.branch_of(known), minlength=len(self.most))
        return used >= np.asarray(self.most)

    def allowed(self, points: Array, known: Array) -> NDArray[np.bool_]:
        """(m,) which of (m, d) points are in a branch that is not closed."""
        return ~self.closed(known)[self.space.branch_of(points)]

    def restrict(self, domain: Domain, known: Array) -> Domain | None:
        """`domain` without the closed branches; None when all are closed.

        Points of a closed branch are moved into the open ones, evenly: each open branch takes an equal
        part of the cell. A point that an open branch shares with a closed one belongs to the closed
        one; it becomes a known point of it, and no search proposes a known point.
        """
        closed = self.closed(known)
        if closed.all():
            return None
        if not closed.any():
            return domain
        space, n_branches = self.space, len(closed)
        still_open = np.flatnonzero(~closed)
        used = known[closed[space.branch_of(known)]][0]

        def snap(points: Array) -> Array:
            snapped = space.snap(points)
            shut = closed[space.branch_of(snapped)]
            if shut.any():
                moved = np.where(np.isnan(points[shut]), 0.5, points[shut])
                within_cell = np.clip(moved[:, 0] * n_branches - space.branch_of(snapped[shut]), 0.0, 1.0 - 1e-9)
                moved[:, 0] = (still_open[(within_cell * len(still_open)).astype(np.intp)] + 0.5) / n_branches
                moved = space.snap(moved)
                moved[closed[space.branch_of(moved)]] = used
                snapped[shut] = moved
            return snapped

        return replace(domain, snap=snap)
