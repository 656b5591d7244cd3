"""Kinds of dimension: each maps the values of one parameter to coordinates of the unit interval and back.

Notation: value, what `set_params` gets · u, its coordinate in [0, 1] · C, number of levels ·
units (C,), increasing coordinates of the levels · cuts (C - 1,), where one level's part of [0, 1]
ends and the next begins (a cut itself belongs to the level below, as in a quantile function).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from sksearch.space.values import is_finite_number, is_number, plain, same, short

Array: TypeAlias = NDArray[np.float64]
Prior: TypeAlias = Literal["uniform", "log-uniform", "reverse-log-uniform"]
RandomSource: TypeAlias = np.random.Generator | np.random.RandomState

PRIORS: tuple[str, ...] = get_args(Prior)

MAX_LEVELS = 4096
"""Up to this many levels a dimension lists their coordinates."""

INTERIOR = 1e-6
"""Distance kept from an end of a distribution which is infinite or zero; see `Quantiles`."""

_MIN_GAP = 0.02
"""Least distance between neighbouring values of an ordered list, in coordinates."""

_MIN_MASS = 1e-9
"""Least share of the unit interval for a value of a discrete distribution: keeps its coordinate apart from the next."""

_HALF_MAX = float(np.finfo(np.float64).max) / 2
"""Numbers up to this size have a finite difference."""

_MAX_COUNT = 2**50
"""Largest number of integers whose cell centres float64 tells apart with two bits to spare."""

_MAX_LOG_INTEGER = 2**40
"""Largest integer that `exp(log(.))` returns to within rounding: its error there is about 0.01."""


class Dimension(ABC):
    """The values of one parameter, and their coordinates."""

    n_levels: int | None = None
    """Number of distinct values; None for a continuum."""
    ordered: bool = True
    """Whether near coordinates mean similar values; False for categories."""

    @abstractmethod
    def to_unit(self, value: Any) -> float:
        """The coordinate of `value`; ValueError if it is not a value of the dimension."""

    @abstractmethod
    def from_unit(self, u: float) -> Any:
        """The value at coordinate `u`, any number in [0, 1]."""

    @abstractmethod
    def sample(self, rng: RandomSource) -> Any:
        """One value, drawn as the user's distribution says."""

    @abstractmethod
    def snap(self, u: Array) -> Array:
        """Coordinates of the values that the coordinates `u`, of any shape, decode to."""

    def level_units(self) -> Array | None:
        """Increasing coordinates of the distinct values, (n_levels,); None beyond 4096 of them."""
        return None

    def contains(self, value: Any) -> bool:
        """Whether `value` is a value of the dimension."""
        try:
            self.to_unit(value)
        except ValueError:
            return False
        return True

    def canonical(self, value: Any) -> Any:
        """`value`, of the dimension, in the type that the dimension itself gives it: 3 for 3.0 among integers."""
        return plain(value)

    def __eq__(self, other: object) -> bool:
        """Whether both have the same values at the same coordinates."""
        return isinstance(other, type(self)) and same(self._identity(), other._identity())

    __hash__ = None  # type: ignore[assignment]  # levels of any type may be unhashable

    @abstractmethod
    def _identity(self) -> tuple[Any, ...]:
        """What makes two dimensions of one class equal."""


def _number(value: Any, expected: str) -> float:
    """`value` as a plain number; ValueError naming what was `expected` otherwise."""
    number = plain(value)
    if not is_finite_number(number):
        raise ValueError(f"{short(value)} is not {expected}.")
    return number  # type: ignore[no-any-return]  # an int or a float


class Interval(Dimension):
    """All numbers from `low` to `high`, evenly spread on a linear, logarithmic or reverse-logarithmic scale.

    Parameters
    ----------
    low, high : float
        Finite, `low < high`.
    prior : {"uniform", "log-uniform", "reverse-log-uniform"}
        The scale on which coordinates are linear: x, log(x) or -log(1 - x).
    interior : tuple of two floats
        Coordinates are clipped to this range.

    >>> interval = Interval(0.01, 100.0, "log-uniform")
    >>> round(interval.to_unit(1.0), 12), round(interval.from_unit(0.75), 12)
    (0.5, 10.0)
    """

    def __init__(
        self, low: float, high: float, prior: Prior = "uniform", *, interior: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        self.low, self.high, self.prior, self.interior = low, high, prior, interior
        self._start = self._warp(low)
        self._width = self._warp(high) - self._start
        if not 0 < self._width < math.inf:
            raise ValueError(
                f"the range from {low!r} to {high!r} is too {'wide' if self._width else 'narrow'} for floating point; "
                "give bounds that differ by a finite amount."
            )

    def _identity(self) -> tuple[Any, ...]:
        return self.low, self.high, self.prior, self.interior

    def _warp(self, x: float) -> float:
        if self.prior == "uniform":
            return x
        return math.log(x) if self.prior == "log-uniform" else -math.log1p(-x)

    def _unwarp(self, t: float) -> float:
        if self.prior == "uniform":
            return t
        return math.exp(t) if self.prior == "log-uniform" else -math.expm1(-t)

    def to_unit(self, value: Any) -> float:
        """The coordinate of `value`."""
        expected = f"a number from {self.low!r} to {self.high!r}"
        number = _number(value, expected)
        if not self.low <= number <= self.high:
            raise ValueError(f"{short(value)} is not {expected}.")
        u = (self._warp(float(number)) - self._start) / self._width
        return min(max(u, self.interior[0]), self.interior[1])

    def canonical(self, value: Any) -> float:
        """`value` as a float."""
        return float(value)

    def from_unit(self, u: float) -> float:
        """The number at coordinate `u`, exactly `low` at 0 and `high` at 1."""
        u = min(max(float(u), self.interior[0]), self.interior[1])
        if u in (0.0, 1.0):
            return self.high if u else self.low
        return min(max(self._unwarp(self._start + u * self._width), self.low), self.high)

    def sample(self, rng: RandomSource) -> float:
        """One number, evenly distributed on the scale."""
        return self.from_unit(rng.random())

    def snap(self, u: Array) -> Array:
        """The coordinates themselves, within the interior."""
        return np.clip(u, *self.interior)


class IntegerRange(Dimension):
    """All integers from `low` to `high`, both included, at the centres of equal cells or on a log scale.

    On the log scale [log(low - 1/2), log(high + 1/2)] is mapped to [0, 1]; each integer owns what
    rounds to it.

    Parameters
    ----------
    low, high : int
        `low <= high`.
    log : bool
        Whether the scale is logarithmic; then `low >= 1`.

    >>> integers = IntegerRange(1, 4)
    >>> integers.level_units(), integers.from_unit(0.3)
    (array([0.125, 0.375, 0.625, 0.875]), 2)
    """

    def __init__(self, low: int, high: int, *, log: bool = False) -> None:
        self.low, self.high, self.log = low, high, log
        self.n_levels = high - low + 1
        if self.n_levels > _MAX_COUNT or (log and high > _MAX_LOG_INTEGER):
            raise ValueError(
                f"integers from {low} to {high} are too many to be told apart by a coordinate "
                f"(at most 2**50, and up to 2**40 on a log scale); narrow the range or use Real."
            )
        if log:
            self._start = float(np.log(low - 0.5))
            self._width = float(np.log(high + 0.5)) - self._start

    def _identity(self) -> tuple[Any, ...]:
        return self.low, self.high, self.log

    def _index(self, u: Array) -> Array:
        """Number of the integer at each coordinate, from 0; stays in float64, which holds it exactly."""
        if self.log:
            index = np.rint(np.exp(self._start + u * self._width)) - self.low
        else:
            index = np.ceil(u * self._count) - 1.0
        clipped: Array = np.clip(index, 0.0, self._count - 1.0)
        return clipped

    def _units(self, index: Array) -> Array:
        if self.log:
            return (np.log(index + self.low) - self._start) / self._width
        return (index + 0.5) / self._count

    @property
    def _count(self) -> float:
        return float(self.high - self.low + 1)

    def to_unit(self, value: Any) -> float:
        """The coordinate of the integer `value`."""
        expected = f"an integer from {self.low} to {self.high}"
        number = _number(value, expected)
        if number != int(number) or not self.low <= number <= self.high:
            raise ValueError(f"{short(value)} is not {expected}.")
        return float(self._units(np.array([int(number) - self.low], dtype=np.float64))[0])

    def canonical(self, value: Any) -> int:
        """`value` as an int."""
        return int(value)

    def from_unit(self, u: float) -> int:
        """The integer whose cell holds coordinate `u`."""
        return self.low + int(self._index(np.array([u], dtype=np.float64))[0])

    def sample(self, rng: RandomSource) -> int:
        """One integer: all equally likely, or with the probability of its cell on the log scale."""
        return self.from_unit(rng.random())

    def snap(self, u: Array) -> Array:
        """The coordinate of the integer at each coordinate."""
        return self._units(self._index(u))

    def level_units(self) -> Array | None:
        """Coordinates of all integers, in order."""
        return self._units(np.arange(self._count)) if self._count <= MAX_LEVELS else None


class Levels(Dimension):
    """A table of values: categories, an ordered list of numbers, or the values of a discrete distribution.

    Made by `categorical`, `ordinal` or `discrete`.

    Parameters
    ----------
    values : sequence of length C
        Distinct values.
    units, cuts : arrays of shape (C,) and (C - 1,)
        See the notation of the module.
    weights : array of shape (C,)
        Probabilities, up to a factor.
    ordered : bool
        Whether values are numbers, identified by what they are equal to; otherwise `same` identifies them.
    support : tuple of two floats or None
        Integers between these bounds and beyond the ends of the table are encoded as its ends.
    """

    def __init__(
        self,
        values: Sequence[Any],
        units: Array,
        cuts: Array,
        weights: Array,
        *,
        ordered: bool,
        support: tuple[float, float] | None = None,
    ) -> None:
        self.values, self.weights, self.ordered, self.support = tuple(values), weights, ordered, support
        self.n_levels = len(self.values)
        self._units, self._cuts = units, cuts
        self._units.setflags(write=False)
        self._cut_list = cuts.tolist()
        self._cumulative = (np.cumsum(weights) / np.sum(weights))[:-1].tolist()
        self._lookup = Lookup(self.values, by_value=ordered)

    @classmethod
    def categorical(cls, values: Sequence[Any], weights: Sequence[float] | None = None) -> Levels:
        """Categories at the centres of equal cells; equal ones are merged and their weights added.

        >>> Levels.categorical(["l1", "l2"]).level_units()
        array([0.25, 0.75])
        """
        distinct, totals = _merge(values, weights, by_value=False)
        count = len(distinct)
        units = (np.arange(count) + 0.5) / count
        return cls(distinct, units, np.arange(1, count) / count, totals, ordered=False)

    @classmethod
    def ordinal(cls, values: Sequence[float]) -> Levels:
        """Finite numbers, at least two of them distinct, placed by size.

        On a log scale if all are positive and the largest is at least ten times the smallest; no
        two closer than 0.02, or half their mean distance where there are more than 26.

        >>> Levels.ordinal([1, 10, 100]).level_units()
        array([0. , 0.5, 1. ])
        """
        distinct, totals = _merge(values, None, by_value=True)
        order = sorted(range(len(distinct)), key=distinct.__getitem__)
        numbers = [distinct[index] for index in order]
        units = _spread(np.array(numbers, dtype=np.float64))
        return cls(numbers, units, (units[1:] + units[:-1]) / 2, totals[order], ordered=True)

    @classmethod
    def discrete(cls, values: Sequence[float], masses: Array, support: tuple[float, float] | None = None) -> Levels:
        """Increasing numbers at the centres of cells as wide as their probabilities.

        >>> Levels.discrete([0, 1], np.array([0.5, 0.5])).level_units()
        array([0.25, 0.75])
        """
        edges = np.concatenate([[0.0], np.cumsum(np.maximum(masses / masses.sum(), _MIN_MASS))])
        edges /= edges[-1]
        return cls(values, (edges[1:] + edges[:-1]) / 2, edges[1:-1], masses, ordered=True, support=support)

    def _identity(self) -> tuple[Any, ...]:
        return self.ordered, self.support, self.values, self._units, self._cuts, self.weights

    def to_unit(self, value: Any) -> float:
        """The coordinate of `value`."""
        index = self._lookup.index(value)
        if index is None:
            index = self._tail(plain(value))
        if index is None:
            raise ValueError(f"{short(value)} is not one of the values {short(list(self.values))}.")
        return float(self._units[index])

    def canonical(self, value: Any) -> Any:
        """The listed one, or one like these."""
        index = self._lookup.index(value)
        if index is None:
            return plain(value) if self.support is None else type(self.values[0])(value)
        return self.values[index]

    def _tail(self, value: Any) -> int | None:
        """The end of the table that stands for an unlisted `value` of the support, if it does."""
        if self.support is None or not is_finite_number(value) or value != int(value):
            return None
        if self.support[0] <= value < self.values[0]:
            return 0
        return len(self.values) - 1 if self.values[-1] < value <= self.support[1] else None

    def from_unit(self, u: float) -> Any:
        """The value whose cell holds coordinate `u`."""
        return self.values[bisect_left(self._cut_list, u)]

    def sample(self, rng: RandomSource) -> Any:
        """One value, drawn by weight."""
        return self.values[bisect_right(self._cumulative, rng.random())]

    def snap(self, u: Array) -> Array:
        """The coordinate of the value at each coordinate."""
        return self._units[np.searchsorted(self._cuts, u)]

    def level_units(self) -> Array | None:
        """Coordinates of all values, in order."""
        return self._units if len(self.values) <= MAX_LEVELS else None


class Quantiles(Dimension):
    """A continuous distribution, seen through its quantiles: u = cdf(value), value = ppf(u).

    An end which is infinite or zero is approached to within `INTERIOR` only: infinity is no value,
    and a distribution never draws its zero, which many parameters (C, alpha) do not allow.

    Parameters
    ----------
    distribution : object
        With `rvs`, or None to sample through the quantiles.
    cdf, ppf : callables
        Its distribution and quantile functions.
    low, high : float
        Ends of its support.
    """

    def __init__(self, distribution: Any, cdf: Any, ppf: Any, low: float, high: float) -> None:
        self.distribution, self.low, self.high = distribution, low, high
        self._cdf, self._ppf = cdf, ppf
        self.interior = interior(low, high)

    def _identity(self) -> tuple[Any, ...]:
        grid = np.linspace(0, 1, 67)[1:-1]
        return self.low, self.high, tuple(float(self._ppf(u)) for u in grid)

    def to_unit(self, value: Any) -> float:
        """The probability of drawing less than `value`."""
        expected = f"a number from {self.low!r} to {self.high!r}"
        number = _number(value, expected)
        if not self.low <= number <= self.high:
            raise ValueError(f"{short(value)} is not {expected}.")
        return min(max(float(self._cdf(number)), self.interior[0]), self.interior[1])

    def canonical(self, value: Any) -> float:
        """`value` as a float."""
        return float(value)

    def from_unit(self, u: float) -> float:
        """The quantile at probability `u`."""
        u = min(max(float(u), self.interior[0]), self.interior[1])
        if u in (0.0, 1.0):
            return self.high if u else self.low
        return min(max(float(self._ppf(u)), self.low), self.high)

    def sample(self, rng: RandomSource) -> float:
        """One draw of the distribution."""
        if hasattr(self.distribution, "rvs"):
            return float(self.distribution.rvs(random_state=rng))
        return self.from_unit(rng.random())

    def snap(self, u: Array) -> Array:
        """The coordinates themselves, within the interior."""
        return np.clip(u, *self.interior)


class SampleOnly(Dimension):
    """A distribution which can be drawn from and no more.

    Parameters
    ----------
    distribution : object
        With a method `rvs(random_state=numpy.random.RandomState)`.
    reason : str
        Why it has no coordinates: continues the sentence "the distribution ...".
    """

    def __init__(self, distribution: Any, reason: str) -> None:
        self.distribution, self.reason = distribution, reason

    def _identity(self) -> tuple[Any, ...]:
        return (self.distribution,)

    def refusal(self) -> ValueError:
        """The error to raise where coordinates are needed."""
        return ValueError(
            f"{short(self.distribution)} can only be sampled, as it {self.reason}; "
            "use a frozen scipy.stats distribution, Real, Integer or a list of values where a model is needed, or a "
            "search that draws at random."
        )

    def to_unit(self, value: Any) -> float:  # noqa: ARG002  (nothing has a coordinate)
        """Refused: the distribution has no coordinates."""
        raise self.refusal()

    def from_unit(self, u: float) -> Any:  # noqa: ARG002  (as above)
        """Refused: the distribution has no coordinates."""
        raise self.refusal()

    def contains(self, value: Any) -> bool:  # noqa: ARG002  (nothing is known of its values)
        """Whether `value` may have been drawn: unknown, so yes."""
        return True

    def sample(self, rng: RandomSource) -> Any:
        """One draw."""
        if isinstance(rng, np.random.Generator):
            rng = np.random.RandomState(rng.bit_generator)  # advances the same stream
        return plain(self.distribution.rvs(random_state=rng))

    def snap(self, u: Array) -> Array:
        """The coordinates themselves."""
        return u


class Lookup:
    """Finds the position of a value in a list of values of any type.

    Parameters
    ----------
    values : sequence
        Distinct; positions refer to it.
    by_value : bool
        Whether 1 and 1.0 are equal, as for numbers; otherwise they differ, as `same` has it.

    >>> Lookup([True, 1.0, None, [3]], by_value=False).index([3])
    3
    >>> Lookup([True, 1.0], by_value=False).index(1) is None
    True
    """

    def __init__(self, values: Sequence[Any], *, by_value: bool) -> None:
        self._by_value = by_value
        self._keyed: dict[Any, int] = {}
        self._others: list[tuple[int, Any]] = []
        for position, value in enumerate(values):
            self.add(value, position)

    def add(self, value: Any, position: int) -> None:
        """Remember that `value`, equal to none before, is found at `position`."""
        key = self._key(value)
        if key is None:
            self._others.append((position, value))
        else:
            self._keyed[key] = position

    def index(self, value: Any) -> int | None:
        """The position of `value`; None if it is not listed."""
        value = plain(value)
        key = self._key(value)
        if key is not None:
            return self._keyed.get(key)
        for position, other in self._others:
            if other is value:
                return position
        return next((position for position, other in self._others if same(other, value)), None)

    def _key(self, value: Any) -> Any:
        """Something hashable that equals the key of the same values only; None for other types."""
        if self._by_value:
            return value if is_number(value) else None
        if isinstance(value, np.str_):
            return str, str(value)
        if value is None or type(value) in (bool, int, str, bytes):
            return type(value), value
        if type(value) is float:
            return float, "nan" if math.isnan(value) else value
        return None


def interior(low: float, high: float) -> tuple[float, float]:
    """Coordinates that a distribution with these ends may take.

    >>> interior(-math.inf, math.inf), interior(1.0, 2.0)
    ((1e-06, 0.999999), (0.0, 1.0))
    """
    return (
        INTERIOR if low == 0 or math.isinf(low) else 0.0,
        1 - INTERIOR if high == 0 or math.isinf(high) else 1.0,
    )


def _merge(values: Sequence[Any], weights: Sequence[float] | None, *, by_value: bool) -> tuple[list[Any], Array]:
    """Distinct values in order of appearance, as plain scalars, and the sum of the weights of each."""
    lookup = Lookup([], by_value=by_value)
    distinct: list[Any] = []
    totals: list[float] = []
    for value, weight in zip(map(plain, values), weights or [1.0] * len(values), strict=True):
        index = lookup.index(value)
        if index is None:
            lookup.add(value, len(distinct))
            distinct.append(value)
            totals.append(weight)
        else:
            totals[index] += weight
    return distinct, np.array(totals)


def _spread(numbers: Array) -> Array:
    """Coordinates of increasing numbers: 0 for the first, 1 for the last, between them by size."""
    if numbers[0] > 0 and numbers[-1] / 10 >= numbers[0]:
        numbers = np.log(numbers)
    elif np.abs(numbers).max() > _HALF_MAX:
        numbers = numbers / 2  # their difference may be infinite
    gaps = np.diff(numbers)
    # Integers beyond 2**53 may all be one float: evenly spaced then.
    gaps = gaps / gaps.sum() if gaps.any() else np.full(len(gaps), 1 / len(gaps))
    # Half the mean gap leaves room for the sizes to show, however many levels there are.
    gaps = _floored(gaps, min(_MIN_GAP, 0.5 / len(gaps)))
    return np.append(np.concatenate([[0.0], np.cumsum(gaps)])[:-1], 1.0)


def _floored(gaps: Array, floor: float) -> Array:
    """Gaps with sum 1, none below `floor`, the larger ones shrunk by a common factor to make room."""
    small = gaps < floor
    while True:
        room = 1.0 - floor * np.count_nonzero(small)
        floored = np.where(small, floor, gaps * (room / gaps[~small].sum()))
        if not (newly := (floored < floor) & ~small).any():
            return floored
        small |= newly
