"""The space of a search: parameter dicts to and from points of the unit cube.

Notation: a *branch* is one dict of the user's list; a *column* is one coordinate of a point.
points (m, d): coordinates in [0, 1], nan where a column is inactive, that is, not of the point's branch.
With several branches column 0 says which; dimensions that are equal in several branches share a column.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sksearch.space.dimensions import MAX_LEVELS, Array, Dimension, Levels, SampleOnly
from sksearch.space.names import check_branch_names
from sksearch.space.parsing import parse_dimension
from sksearch.space.values import plain, same, short
from sksearch.trials import Params


@dataclass(frozen=True, slots=True)
class Column:
    """One coordinate of the points of a space."""

    name: str
    """The parameter; empty for the choice of branch."""
    dimension: Dimension
    """Its values."""


class Space:
    """One or several branches of named dimensions, seen as points of one unit cube.

    Parameters
    ----------
    branches : sequence of dicts from names to dimensions
        At least one, none empty.
    argument : str
        Name of the constructor argument it came from, for messages.

    Examples
    --------
    >>> space = Space.parse([{"kernel": ["linear"]}, {"kernel": ["rbf"], "gamma": [0.1, 1, 10]}], argument="param_grid")
    >>> space.size
    4.0
    >>> space.encode({"kernel": "rbf", "gamma": 10})
    array([0.75,  nan, 0.5 , 1.  ])
    >>> space.decode(space.encode({"kernel": "rbf", "gamma": 10}))
    {'kernel': 'rbf', 'gamma': 10}
    """

    branches: tuple[dict[str, Dimension], ...]
    """The dimensions of each branch, by name."""
    columns: tuple[Column, ...]
    """Column 0 is the choice of branch, with an empty name, when there are several branches."""
    n_categories: tuple[int, ...]
    """For each column its number of categories; 0 where it is ordered."""
    level_units: tuple[Array | None, ...]
    """For each column the coordinates of its levels; None for a continuum or beyond 4096 levels."""
    size: float
    """Number of distinct parameter dicts; beyond 4096 an upper bound where branches overlap."""

    def __init__(self, branches: Sequence[Mapping[str, Dimension]], *, argument: str = "search_spaces") -> None:
        self.argument = argument
        self.branches = tuple(dict(branch) for branch in branches)
        columns: list[Column] = []
        if len(self.branches) > 1:
            columns.append(Column("", Levels.categorical(range(len(self.branches)))))
        self._slots = [
            [(name, dimension, _column_of(Column(name, dimension), columns)) for name, dimension in branch.items()]
            for branch in self.branches
        ]
        self.columns = tuple(columns)
        self._active = np.zeros((len(self.branches), len(columns)), dtype=bool)
        if len(self.branches) > 1:
            self._active[:, 0] = True
        for active, slots in zip(self._active, self._slots, strict=True):
            active[[column for _, _, column in slots]] = True
        self._overlaps_earlier = np.array(
            [
                any(_may_overlap(earlier, branch) for earlier in self.branches[:position])
                for position, branch in enumerate(self.branches)
            ]
        )
        dimensions = [column.dimension for column in columns]
        self.n_categories = tuple(0 if dimension.ordered else dimension.n_levels or 0 for dimension in dimensions)
        self.level_units = tuple(dimension.level_units() for dimension in dimensions)
        self.size = self._count()

    def categories(self) -> list[dict[str, list[Any]]]:
        """Values of the parameters without an order, by name, of each branch; no values of those with an order.

        >>> Space.parse({"loss": ["hinge", "huber"], "C": [1, 2, 5]}, argument="param_grid").categories()
        [{'loss': ['hinge', 'huber'], 'C': []}]
        """
        return [
            {
                name: list(dimension.values) if isinstance(dimension, Levels) and not dimension.ordered else []
                for name, dimension in branch.items()
            }
            for branch in self.branches
        ]

    @classmethod
    def parse(cls, spaces: Any, *, argument: str, tuple_is_range: bool = False) -> Space:
        """The space that a user's dict, or list of dicts, describes.

        Parameters
        ----------
        spaces : dict or list of dicts
            Each from a parameter's name to what `parse_dimension` takes.
        argument : str
            Name of the constructor argument, for messages.
        tuple_is_range : bool
            Whether a tuple `(low, high)` is a range or two values.

        Returns
        -------
        Space

        Raises
        ------
        ValueError
            Names the argument, the parameter, the value and the remedy.
        """
        branches = [spaces] if isinstance(spaces, Mapping) else spaces
        if isinstance(branches, str) or not isinstance(branches, (Sequence, np.ndarray)):
            raise ValueError(  # noqa: TRY004  (every refusal of a space is a ValueError)
                f"{argument} must be a dict from parameter names to dimensions, or a list of such dicts, "
                f"got {short(spaces)}."
            )
        if len(branches) == 0:
            raise ValueError(f"{argument} is empty, got {spaces!r}; name at least one parameter to search.")
        parsed = []
        for position, branch in enumerate(branches):
            label = argument if isinstance(spaces, Mapping) else f"{argument}[{position}]"
            try:
                parsed.append(_parse_branch(branch, tuple_is_range=tuple_is_range))
            except ValueError as error:
                raise ValueError(f"{label}: {error}") from error
        return cls(parsed, argument=argument)

    @property
    def n_columns(self) -> int:
        """Length of a point."""
        return len(self.columns)

    def __eq__(self, other: object) -> bool:
        """Whether both have equal branches in the same order."""
        return self.branches == other.branches if isinstance(other, Space) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # dimensions are not hashable

    def __repr__(self) -> str:
        """The names of each branch."""
        return f"Space({', '.join(str(list(branch)) for branch in self.branches)})"

    def encode(self, params: Params) -> Array:
        """The point of `params`, (n_columns,), in the first branch that holds them.

        Raises
        ------
        ValueError
            If no branch holds them; names the parameter where only one branch has these names.
        """
        named = [position for position, branch in enumerate(self.branches) if branch.keys() == params.keys()]
        if len(named) > 1:  # 1 and 1.0 may be different settings
            named.sort(key=lambda position: not _has_itself(self.branches[position], params))
        for position in named:
            try:
                return self._encode_in(position, params)
            except ValueError:
                if len(named) == 1:
                    raise
        raise ValueError(
            f"{self.argument}: {short(params)} belongs to no branch; give exactly the parameters of one of "
            f"{[list(branch) for branch in self.branches]} with values of it."
        )

    def _encode_in(self, position: int, params: Params) -> Array:
        point = np.full(self.n_columns, np.nan)
        if len(self.branches) > 1:
            point[0] = self.columns[0].dimension.to_unit(position)
        for name, dimension, column in self._slots[position]:
            try:
                point[column] = dimension.to_unit(params[name])
            except ValueError as error:
                raise ValueError(f"{self.argument}: parameter {name!r}: {error}") from error
        return point

    def decode(self, point: Array) -> Params:
        """The parameters at `point`, (n_columns,); any number in [0, 1] is legal, nan counts as 1/2."""
        units = np.where(np.isnan(point), 0.5, point).tolist()
        position = self.columns[0].dimension.from_unit(units[0]) if len(self.branches) > 1 else 0
        return {name: dimension.from_unit(units[column]) for name, dimension, column in self._slots[position]}

    def snap(self, points: Array) -> Array:
        """For each row of `points`, (m, n_columns), the point of the parameters it decodes to.

        Inactive columns become nan, according to the branch; nan in an active one counts as 1/2.
        """
        points = np.asarray(points, dtype=np.float64)
        filled = np.where(np.isnan(points), 0.5, np.clip(points, 0.0, 1.0))
        snapped = np.empty_like(filled)
        for position, column in enumerate(self.columns):
            snapped[:, position] = column.dimension.snap(filled[:, position])
        if len(self.branches) > 1:
            positions = self.branch_of(snapped)
            snapped[~self._active[positions]] = np.nan
            # The same parameters in two branches are one point, that of the first.
            for row in np.flatnonzero(self._overlaps_earlier[positions]):
                snapped[row] = self.encode(self.decode(snapped[row]))
        return snapped

    def branch_of(self, points: Array) -> NDArray[np.intp]:
        """Position of the branch of each row of `points`, (m, n_columns), that `encode` or `snap` made."""
        if len(self.branches) == 1:
            return np.zeros(len(points), dtype=np.intp)
        return np.rint(points[:, 0] * len(self.branches) - 0.5).astype(np.intp)

    def contains(self, params: Params) -> bool:
        """Whether `params` are exactly the parameters of a branch with values of its dimensions, in their types."""
        return any(branch.keys() == params.keys() and _has_itself(branch, params) for branch in self.branches)

    def enumerate(self) -> Array:
        """All points, (size, n_columns), branch after branch, the last parameter varying fastest.

        Raises
        ------
        ValueError
            If there are more than 4096.
        """
        if self.size > MAX_LEVELS:
            raise ValueError(f"{self.argument} holds {self.size:g} points; at most {MAX_LEVELS} can be enumerated.")
        return self._enumerate()

    def _enumerate(self) -> Array:
        blocks = []
        for position, slots in enumerate(self._slots):
            levels = [dimension.level_units() for _, dimension, _ in slots]
            grid = np.array(list(itertools.product(*levels)))  # type: ignore[arg-type]  # all are finite here
            block = np.full((len(grid), self.n_columns), np.nan)
            if len(self.branches) > 1:
                block[:, 0] = self.columns[0].dimension.to_unit(position)
            block[:, [column for _, _, column in slots]] = grid
            blocks.append(block)
        points = np.concatenate(blocks)
        if self._overlaps_earlier.any():
            points = self.snap(points)
            keys = np.nan_to_num(points, nan=-1.0)
            _, first = np.unique(keys, axis=0, return_index=True)
            points = points[np.sort(first)]
        return points

    def _count(self) -> float:
        levels = [[float(dimension.n_levels or math.inf) for dimension in branch.values()] for branch in self.branches]
        total = sum(map(math.prod, levels))
        return float(len(self._enumerate())) if self._overlaps_earlier.any() and total <= MAX_LEVELS else total

    def sample(self, rng: np.random.Generator) -> Params:
        """One draw: a branch, all equally likely, then each of its parameters from its own distribution."""
        position = int(rng.integers(len(self.branches))) if len(self.branches) > 1 else 0
        return {name: dimension.sample(rng) for name, dimension in self.branches[position].items()}

    def require_model(self) -> None:
        """Refuse a space with a distribution that can be sampled but not modelled.

        Raises
        ------
        ValueError
            Names the parameter and says what its distribution lacks.
        """
        for column in self.columns:
            if isinstance(column.dimension, SampleOnly):
                refusal = column.dimension.refusal()
                raise ValueError(f"{self.argument}: parameter {column.name!r}: {refusal}")  # noqa: TRY004

    def check_names(self, estimator: Any) -> None:
        """Refuse a name that `set_params` does not accept, tried on clones of `estimator`.

        Where a step of the estimator is itself searched, its own parameters need to be accepted
        together by at least one of its values.

        Raises
        ------
        ValueError
            Names the parameter and those that exist.
        """
        for position, branch in enumerate(self.branches):
            label = self.argument if len(self.branches) == 1 else f"{self.argument}[{position}]"
            try:
                check_branch_names(branch, estimator)
            except ValueError as error:
                raise ValueError(f"{label}: {error}") from error


def _parse_branch(branch: Any, *, tuple_is_range: bool) -> dict[str, Dimension]:
    if not isinstance(branch, Mapping):
        raise ValueError(  # noqa: TRY004  (every refusal of a space is a ValueError)
            f"each space must be a dict from parameter names to dimensions, got {short(branch)}."
        )
    if not branch:
        raise ValueError("a space is empty, got {}; name at least one parameter to search.")
    for name in branch:
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"parameter names must be non-empty strings, got {name!r}; write them as in estimator.get_params()."
            )
    return {name: parse_dimension(spec, name=name, tuple_is_range=tuple_is_range) for name, spec in branch.items()}


def _column_of(column: Column, columns: list[Column]) -> int:
    """Position of an equal column, which is appended if there is none."""
    for position, other in enumerate(columns):
        if other.name == column.name and other.dimension == column.dimension:
            return position
    columns.append(column)
    return len(columns) - 1


def _may_overlap(first: Mapping[str, Dimension], second: Mapping[str, Dimension]) -> bool:
    """Whether some parameters may belong to both branches."""
    return first.keys() == second.keys() and all(_may_meet(first[name], second[name]) for name in first)


def _may_meet(first: Dimension, second: Dimension) -> bool:
    """Whether two dimensions may share a value of one type: exact if one is a table, otherwise yes."""
    if isinstance(first, Levels):
        return any(_has_itself({"": second}, {"": value}) for value in first.values)
    if isinstance(second, Levels):
        return any(_has_itself({"": first}, {"": value}) for value in second.values)
    return True


def _has_itself(branch: Mapping[str, Dimension], params: Params) -> bool:
    """Whether the branch has these values in their own types."""
    return all(
        dimension.contains(params[name]) and same(dimension.canonical(params[name]), plain(params[name]))
        for name, dimension in branch.items()
    )
