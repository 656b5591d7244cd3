"""From what a user writes for one parameter to its `Dimension`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.stats import rv_discrete

from sksearch.space.dimensions import (
    INTERIOR,
    MAX_LEVELS,
    PRIORS,
    Array,
    Dimension,
    IntegerRange,
    Interval,
    Levels,
    Quantiles,
    SampleOnly,
    interior,
)
from sksearch.space.specs import Categorical, Integer, Real, Spec, is_listing, listed
from sksearch.space.values import is_finite_number, is_number, plain, short

_MAX_TABLE = 2**16
"""Most values of an unbounded discrete distribution that are tabulated."""

_MIN_TABULATED = 0.99
"""Least probability that the table has to hold for it to stand for the distribution."""


def parse_dimension(spec: Any, *, name: str, tuple_is_range: bool) -> Dimension:
    """The dimension that `spec` stands for.

    Parameters
    ----------
    spec : list, array, distribution, Real, Integer, Categorical or tuple
        See "Search spaces" in the documentation. scikit-optimize's Real, Integer and Categorical are
        taken for ours.
    name : str
        The parameter, for messages.
    tuple_is_range : bool
        Whether `(low, high)` and `(low, high, prior)` are ranges, as scikit-optimize has it, or
        values, as scikit-learn has it.

    Returns
    -------
    Dimension

    Raises
    ------
    ValueError
        If `spec` is none of these, or one with bounds or values that make no sense.

    Examples
    --------
    >>> parse_dimension([1, 10, 100], name="C", tuple_is_range=False).to_unit(10)
    0.5
    """
    try:
        return _parse(spec, name=name, tuple_is_range=tuple_is_range)
    except ValueError as error:
        raise ValueError(f"parameter {name!r}: {error}") from error


def _parse(spec: Any, *, name: str, tuple_is_range: bool) -> Dimension:
    if isinstance(spec, Spec):
        return spec.dimension
    if isinstance(spec, (str, bytes)):
        raise ValueError(  # noqa: TRY004  (every refusal of a space is a ValueError)
            f"{short(spec)} is one value, not a list of values; write [{short(spec)}]."
        )
    if (translated := _from_scikit_optimize(spec)) is not None:
        return translated.dimension
    if not isinstance(spec, type) and (hasattr(spec, "rvs") or hasattr(spec, "icdf")):
        return _distribution(spec)
    if isinstance(spec, (Mapping, set, frozenset)) or not is_listing(spec):
        raise ValueError(
            f"{short(spec)} is neither a list of values nor a distribution; write [value] for a single value, "
            "list(...) for a set or an iterator."
        )
    if tuple_is_range and isinstance(spec, tuple) and (bounds := _as_range(spec)) is not None:
        return bounds.dimension
    values = listed(spec)
    if tuple_is_range and isinstance(spec, tuple) and _misplaces_prior(values):
        raise ValueError(
            f"{spec!r} has two numbers and a prior, but not as a range has them; write (low, high, prior), or a list "
            "if these are values."
        )
    if not tuple_is_range and isinstance(spec, tuple) and _has_log_prior(values):
        kind = "Integer" if all(isinstance(plain(bound), int) for bound in values[:2]) else "Real"
        base = "".join(f", base={value!r}" for value in values[3:])
        raise ValueError(
            f"{spec!r} is its values here, and one of them is {values[2]!r}; write {kind}({values[0]!r}, "
            f"{values[1]!r}, prior={values[2]!r}{base}), of sksearch.space, for a range."
        )
    if tuple_is_range and not isinstance(spec, tuple):
        _check_not_a_range(values, name)
    return _values(values)


def _from_scikit_optimize(spec: Any) -> Spec | None:
    """Our `Real`, `Integer` or `Categorical` for scikit-optimize's, which is not imported; None for anything else."""
    kinds = [cls.__name__ for cls in type(spec).__mro__ if cls.__module__.split(".")[0] == "skopt"]
    if "Real" in kinds:
        return Real(spec.low, spec.high, spec.prior, name=spec.name)
    if "Integer" in kinds:
        return Integer(spec.low, spec.high, spec.prior, name=spec.name)
    if "Categorical" in kinds:
        return Categorical(spec.categories, spec.prior, name=spec.name)
    return None


def _as_range(spec: tuple[Any, ...]) -> Real | Integer | None:
    """The range that a tuple in scikit-optimize's form means; None if it has another form."""
    bounds = [plain(bound) for bound in spec[:2]]
    if not 2 <= len(spec) <= 4 or not all(map(is_number, bounds)):
        return None
    prior: Any = spec[2] if len(spec) > 2 else "uniform"
    if prior not in PRIORS:
        if isinstance(prior, str) and ("log" in prior or "uniform" in prior):
            raise ValueError(
                f"{spec!r} looks like a range whose prior is none of {', '.join(map(repr, PRIORS))}; "
                "correct it, or write a list if these are values."
            )
        return None
    if len(spec) == 4 and not is_number(plain(spec[3])):
        return None
    low, high = bounds
    base = spec[3] if len(spec) == 4 else 10
    if isinstance(low, int) and isinstance(high, int):
        return Integer(low, high, prior, base=base)
    return Real(low, high, prior, base=base)


def _misplaces_prior(values: list[Any]) -> bool:
    """Whether two of three values are numbers, and the first or second is a prior."""
    one = [value for value in values if isinstance(value, str) and value in PRIORS]
    others = [value for value in values if is_number(plain(value))]
    return len(values) == 3 and len(one) == 1 and len(others) == 2 and one != values[2:]


def _has_log_prior(values: list[Any]) -> bool:
    """Whether these can only be meant as scikit-optimize's ranges: no parameter takes numbers and such a word."""
    prior = values[2] if len(values) in (3, 4) else None
    return isinstance(prior, str) and prior in PRIORS and "log" in prior and all(map(is_finite_number, values[:2]))


def _check_not_a_range(values: list[Any], name: str) -> None:
    """A list is its values; but scikit-optimize took `[low, high]` and `[low, high, prior]` for ranges."""
    if len(values) < 2 or not all(map(is_finite_number, values[:2])) or values[0] == values[1]:
        return
    low, high = sorted(values[:2])
    if len(values) == 2:
        warnings.warn(
            f"parameter {name!r}: the list {values!r} is two values; write ({low!r}, {high!r}) for the range between "
            f"them, or Categorical({values!r}) if two values are meant.",
            UserWarning,
            stacklevel=2,
        )
    elif len(values) <= 4 and isinstance(values[2], str) and values[2] in PRIORS:
        raise ValueError(
            f"the list {values!r} is its values, and one of them is {values[2]!r}; "
            f"write ({low!r}, {high!r}, {values[2]!r}) for a range."
        )


def _values(values: list[Any]) -> Levels:
    """A list of values: ordered where the user wrote at least three numbers in order, categories otherwise."""
    if not values:
        raise ValueError("the list of values is empty, got []; list the values to try.")
    return Levels.ordinal(values) if _is_scale(values) else Levels.categorical(values)


def _is_scale(values: list[Any]) -> bool:
    if not all(map(is_finite_number, values)):
        return False
    distinct = set(values)
    # 1 and 1.0 side by side differ in meaning (a count, a fraction): no scale.
    if len(distinct) < 3 or len({(type(value), value) for value in values}) > len(distinct):
        return False
    return values in (sorted(values), sorted(values, reverse=True))


def _distribution(spec: Any) -> Dimension:
    """A distribution: by its quantiles if it has them, otherwise to be sampled only."""
    ppf = getattr(spec, "ppf", getattr(spec, "icdf", None))
    if ppf is None or not hasattr(spec, "cdf"):
        return SampleOnly(spec, "has no cdf and ppf")
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dimension = _by_quantiles(spec, ppf)
    if isinstance(dimension, str):
        _check_sampled(spec)
        return SampleOnly(spec, dimension)
    return dimension


def _check_sampled(spec: Any) -> None:
    """Refuse a distribution that cannot even be drawn from."""
    try:
        spec.rvs(random_state=np.random.RandomState(0))
    except Exception as error:
        raise ValueError(
            f"the distribution {_described(spec)} cannot be drawn from ({type(error).__name__}: {error}); "
            "check its arguments, and that it is frozen, as scipy.stats.randint(1, 10) and uniform(0, 2) are."
        ) from error


def _described(spec: Any) -> str:
    """A frozen distribution with its arguments, which its repr lacks."""
    arguments = [repr(plain(value)) for value in getattr(spec, "args", ())]
    arguments += [f"{key}={plain(value)!r}" for key, value in getattr(spec, "kwds", {}).items()]
    name = getattr(getattr(spec, "dist", spec), "name", None)
    return f"{name}({', '.join(arguments)})" if isinstance(name, str) else short(spec)


def _by_quantiles(spec: Any, ppf: Callable[[Any], Any]) -> Dimension | str:
    """The distribution as a dimension, or why it cannot be one."""
    try:
        low, high = (plain(end) for end in (spec.support() if hasattr(spec, "support") else (ppf(0.0), ppf(1.0))))
        if not is_number(low) or not is_number(high) or not low <= high:
            return "has no finite quantiles"
        if _is_discrete(spec, ppf):
            return _discrete(spec, low, high)
        return _closed_form(spec, low, high) or _continuous(spec, ppf, low, high)
    except (AttributeError, TypeError, ValueError, ArithmeticError) as error:
        return f"has no quantiles ({error})"


def _is_discrete(spec: Any, ppf: Callable[[Any], Any]) -> bool:
    """Whether the distribution draws single points.

    Quantiles of scipy's discrete distributions are not asked for: with a heavy tail they take
    scipy unbounded time and memory.
    """
    if isinstance(getattr(spec, "dist", spec), rv_discrete):
        return True
    return isinstance(middle := plain(ppf(0.5)), int) or (hasattr(spec, "pmf") and bool(spec.pmf(middle) > 0))


def _continuous(spec: Any, ppf: Callable[[Any], Any], low: float, high: float) -> Quantiles | str:
    dimension = Quantiles(spec, spec.cdf, ppf, float(low), float(high))
    ends = [dimension.from_unit(u) for u in (0.0, 1.0)]
    return dimension if all(map(math.isfinite, ends)) and ends[0] < ends[1] else "has no finite quantiles"


def _closed_form(spec: Any, low: float, high: float) -> Dimension | None:
    """`uniform` and `loguniform` without a call of scipy at each value, which costs some 30 microseconds."""
    family = getattr(getattr(spec, "dist", spec), "name", None)
    if family not in ("uniform", "loguniform", "reciprocal") or not low < high < math.inf:
        return None
    if family != "uniform" and low <= 0:
        return None
    prior: Any = "uniform" if family == "uniform" else "log-uniform"
    interval = Interval(float(low), float(high), prior, interior=interior(low, high))
    quantile = float(spec.ppf(0.25))  # differs where loc shifts a loguniform
    return interval if math.isclose(interval.from_unit(0.25), quantile, rel_tol=1e-9, abs_tol=1e-12) else None


def _discrete(spec: Any, low: float, high: float) -> Dimension | str:
    if getattr(getattr(spec, "dist", spec), "name", None) == "randint":
        return IntegerRange(int(low), int(high))
    values = _support_points(spec, low, high)
    if values is None:
        return f"spreads over more than {_MAX_TABLE} values"
    masses = _masses(spec, values)
    positive = masses > 0
    if not positive.any() or not np.isfinite(masses).all():
        return "has no finite probabilities"
    integral = bool(np.all(values == np.rint(values)))
    numbers = [int(value) if integral else float(value) for value in values[positive]]
    return Levels.discrete(numbers, masses[positive], support=(low, high) if integral else None)


def _masses(spec: Any, values: Array) -> Array:
    return np.asarray(spec.pmf(values) if hasattr(spec, "pmf") else spec.cdf(values) - spec.cdf(values - 1), np.float64)


def _support_points(spec: Any, low: float, high: float) -> Array | None:
    """The values of a discrete distribution, without its outermost millionths where they are many.

    None if these are too many as well.
    """
    points = getattr(spec, "xk", getattr(getattr(spec, "dist", None), "xk", None))
    if points is not None:
        points = np.unique(np.asarray(points, dtype=np.float64))
        shifted: Array = points + (low - points[0])  # a frozen one may be shifted by loc
        return shifted
    if high - low < MAX_LEVELS:
        return np.arange(low, high + 1)
    return _bulk(spec, low, high)


def _bulk(spec: Any, low: float, high: float) -> Array | None:
    """The integers around the mean that hold all but the outermost millionths; None if they are too many."""
    mean = float(spec.mean())
    centre = round(mean) if math.isfinite(mean) else max(low, min(high, 0))
    half = 64
    while True:
        values: Array = np.arange(max(low, centre - half), min(high, centre + half) + 1, dtype=np.float64)
        masses = _masses(spec, values)
        if masses.sum() >= 1 - INTERIOR or half >= _MAX_TABLE // 2:
            break
        half *= 2
    if not masses.sum() > _MIN_TABULATED:
        return None
    within = (np.cumsum(masses) > INTERIOR) & (np.cumsum(masses[::-1])[::-1] > INTERIOR)
    return values[within]
