"""Ranges and categories as users write them: `Real`, `Integer`, `Categorical`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from sklearn.utils import check_random_state

from sksearch.space.dimensions import PRIORS, Dimension, IntegerRange, Interval, Levels, Prior
from sksearch.space.values import is_finite_number, is_number, plain, same, short

_TRANSFORMS = (None, "identity", "normalize", "onehot", "string", "label")


class Spec(ABC):
    """What `Real`, `Integer` and `Categorical` share."""

    dimension: Dimension
    name: str | None

    @abstractmethod
    def _arguments(self) -> dict[str, Any]:
        """Arguments that make an equal object."""

    def __repr__(self) -> str:
        """The call that makes an equal object."""
        arguments = [
            f"{value!r}" if name in ("low", "high", "categories") else f"{name}={value!r}"
            for name, value in self._arguments().items()
        ]
        return f"{type(self).__name__}({', '.join(arguments)})"

    def __eq__(self, other: object) -> bool:
        """Whether `other` is of the same class with the same arguments."""
        if not isinstance(other, Spec) or type(self) is not type(other):
            return NotImplemented
        return same(self._arguments(), other._arguments())

    __hash__ = None  # type: ignore[assignment]  # categories may be unhashable

    def rvs(self, n_samples: int | None = None, random_state: Any = None) -> Any:
        """Draw values, as scipy's distributions do.

        Parameters
        ----------
        n_samples : int or None
            None for one value, otherwise the length of the list of values.
        random_state : int, numpy.random.RandomState, numpy.random.Generator or None
            Source of randomness.

        Returns
        -------
        value or list of values
        """
        rng = random_state if isinstance(random_state, np.random.Generator) else check_random_state(random_state)
        if n_samples is None:
            return self.dimension.sample(rng)
        return [self.dimension.sample(rng) for _ in range(n_samples)]


class Real(Spec):
    """All numbers from `low` to `high`.

    Parameters
    ----------
    low, high : float
        Ends of the range, both included; finite, `low < high`.
    prior : {"uniform", "log-uniform", "reverse-log-uniform"}, default="uniform"
        The scale on which the range is searched and sampled evenly: x, log(x) (for rates and
        penalties; `low > 0`) or -log(1 - x) (for momenta and quantiles near 1; `0 <= low`, `high < 1`).
    base : int, default=10
        Accepted as scikit-optimize does, without effect: the base of a logarithm changes nothing.
    transform : str or None, default=None
        Accepted as scikit-optimize does, without effect: values are encoded by the search.
    dtype : type or str, default=float
        Accepted as scikit-optimize does; values are returned as Python floats.
    name : str or None, default=None
        A label; the key of the search space says which parameter is meant.

    Examples
    --------
    >>> from sksearch.space import Real
    >>> Real(1e-3, 1e3, "log-uniform")
    Real(0.001, 1000.0, prior='log-uniform')
    >>> 1 <= Real(1, 2).rvs(random_state=0) <= 2
    True
    """

    def __init__(
        self,
        low: float,
        high: float,
        prior: Prior = "uniform",
        *,
        base: float = 10,
        transform: str | None = None,
        name: str | None = None,
        dtype: Any = float,
    ) -> None:
        _check_prior(prior)
        _check_ignored(base, transform, name)
        _check_dtype(dtype, kinds="f", returned="Python floats")
        low, high = (_finite(bound, which) for bound, which in ((low, "low"), (high, "high")))
        _check_order("Real", low, high)
        if prior == "log-uniform" and low <= 0:
            raise ValueError(
                f"low must be greater than 0 with prior='log-uniform', got {low!r}; raise it or use prior='uniform'."
            )
        if prior == "reverse-log-uniform" and not 0 <= low < high < 1:
            raise ValueError(
                f"bounds must satisfy 0 <= low < high < 1 with prior='reverse-log-uniform', "
                f"got {low!r} and {high!r}; end below 1 or use prior='uniform'."
            )
        self.low, self.high = float(low), float(high)
        self.prior = prior
        self.name = name
        self.dimension = Interval(self.low, self.high, prior)

    def _arguments(self) -> dict[str, Any]:
        return _without_none({"low": self.low, "high": self.high, "prior": self.prior, "name": self.name})


class Integer(Spec):
    """All integers from `low` to `high`.

    Parameters
    ----------
    low, high : int
        Ends of the range, both included; `low < high`.
    prior : {"uniform", "log-uniform"}, default="uniform"
        The scale on which the range is searched and sampled evenly; `low >= 1` with "log-uniform".
    base : int, default=10
        Accepted as scikit-optimize does, without effect: the base of a logarithm changes nothing.
    transform : str or None, default=None
        Accepted as scikit-optimize does, without effect: values are encoded by the search.
    dtype : type or str, default=int
        Accepted as scikit-optimize does; values are returned as Python ints.
    name : str or None, default=None
        A label; the key of the search space says which parameter is meant.

    Examples
    --------
    >>> from sksearch.space import Integer
    >>> Integer(1, 3)
    Integer(1, 3, prior='uniform')
    >>> sorted(set(Integer(1, 3).rvs(100, random_state=0)))
    [1, 2, 3]
    """

    def __init__(
        self,
        low: int,
        high: int,
        prior: Prior = "uniform",
        *,
        base: float = 10,
        transform: str | None = None,
        name: str | None = None,
        dtype: Any = int,
    ) -> None:
        _check_prior(prior)
        _check_ignored(base, transform, name)
        _check_dtype(dtype, kinds="iu", returned="Python ints")
        for bound, which in ((low, "low"), (high, "high")):
            if (number := _finite(bound, which)) != int(number):
                raise ValueError(f"{which} must be an integer, got {bound!r}; round it or use Real.")
        self.low, self.high = int(low), int(high)
        _check_order("Integer", self.low, self.high)
        if prior == "reverse-log-uniform":
            raise ValueError(
                "prior='reverse-log-uniform' is for ranges within [0, 1), which hold no two integers; "
                f"got {low!r} and {high!r}; use Real or prior='uniform'."
            )
        if prior == "log-uniform" and self.low < 1:
            raise ValueError(
                f"low must be at least 1 with prior='log-uniform', got {low!r}; raise it or use prior='uniform'."
            )
        self.prior = prior
        self.name = name
        self.dimension = IntegerRange(self.low, self.high, log=prior == "log-uniform")

    def _arguments(self) -> dict[str, Any]:
        return _without_none({"low": self.low, "high": self.high, "prior": self.prior, "name": self.name})


class Categorical(Spec):
    """Values without order, of any type; also numbers that shall not be treated as a scale.

    Parameters
    ----------
    categories : sequence
        The values. Equal ones of the same type count once for a model.
    prior : sequence of float or None, default=None
        Their probabilities when sampling; None for equal ones.
    transform : str or None, default=None
        Accepted for call compatibility with scikit-optimize, without effect.
    name : str or None, default=None
        A label; the key of the search space says which parameter is meant.

    Examples
    --------
    >>> from sksearch.space import Categorical
    >>> Categorical(["gini", "entropy"], prior=[0.9, 0.1])
    Categorical(['gini', 'entropy'], prior=[0.9, 0.1])
    """

    def __init__(
        self,
        categories: Sequence[Any],
        prior: Sequence[float] | None = None,
        *,
        transform: str | None = None,
        name: str | None = None,
    ) -> None:
        _check_ignored(10, transform, name)
        self.categories = listed(categories)
        if not self.categories:
            raise ValueError(f"categories must not be empty, got {categories!r}; list the values to try.")
        self.prior = None if prior is None else _probabilities(prior, len(self.categories))
        self.name = name
        self.dimension = Levels.categorical(self.categories, self.prior)

    def _arguments(self) -> dict[str, Any]:
        return _without_none({"categories": self.categories, "prior": self.prior, "name": self.name})


def is_listing(value: Any) -> bool:
    """Whether `value` is a finite sequence of values: a list, tuple, range, array or a data frame's column.

    >>> is_listing([1, 2]), is_listing(np.arange(3)), is_listing("abc"), is_listing({1, 2})
    (True, True, False, False)
    """
    if isinstance(value, (str, bytes, bytearray, type)):
        return False
    return isinstance(value, Sequence) or (hasattr(value, "__array__") and hasattr(value, "__len__"))


def listed(values: Any) -> list[Any]:
    """The elements of a sequence, numpy's numbers as plain Python scalars.

    Raises
    ------
    ValueError
        If it is no sequence, or one of more than one axis.

    >>> listed(np.array(["l1", "l2"])), listed((np.int64(1), None))
    (['l1', 'l2'], [1, None])
    """
    if isinstance(values, (str, bytes)):
        raise ValueError(f"{short(values)} is one value, not a list of values; write [{short(values)}].")  # noqa: TRY004  (as all refusals)
    if not is_listing(values):
        raise ValueError(f"{short(values)} is not a list of values; write list(...) or [value].")
    if len(shape := getattr(values, "shape", (0,))) != 1:
        raise ValueError(
            f"an array of values must have one axis, got shape {tuple(shape)}; write list(array) "
            "if its rows are the values."
        )
    if isinstance(values, np.ndarray) and values.dtype.kind == "U":
        return cast("list[Any]", values.tolist())
    return [plain(value) for value in values]


def _without_none(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _finite(bound: Any, which: str) -> float:
    """The bound as a plain number."""
    number = plain(bound)
    if not is_number(number):
        raise TypeError(f"{which} must be a number, got {bound!r}.")
    if not is_finite_number(number):
        raise ValueError(
            f"{which} must be finite, got {bound!r}; end the range somewhere or use a scipy.stats distribution."
        )
    return cast("float", number)


def _check_order(kind: str, low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"low must be less than high, got {low!r} and {high!r}; write {kind}({high!r}, {low!r}).")
    if low == high:
        raise ValueError(f"low must be less than high, got {low!r} twice; write [{low!r}] for a single value.")


def _check_prior(prior: Any) -> None:
    if prior not in PRIORS:
        raise ValueError(f"prior must be one of {', '.join(map(repr, PRIORS))}, got {prior!r}.")


def _check_ignored(base: Any, transform: Any, name: Any) -> None:
    """Refuse what would be wrong in scikit-optimize too."""
    if not is_number(plain(base)) or not base > 1:
        raise ValueError(f"base must be a number greater than 1, got {base!r}; leave it out, it has no effect.")
    if transform not in _TRANSFORMS:
        raise ValueError(
            f"transform must be one of {', '.join(map(repr, _TRANSFORMS))}, got {transform!r}; "
            "leave it out, it has no effect."
        )
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a str or None, got {name!r}.")


def _check_dtype(dtype: Any, *, kinds: str, returned: str) -> None:
    try:
        kind = np.dtype(dtype).kind
    except TypeError:
        kind = ""
    if kind not in kinds or not kind:
        raise ValueError(
            f"dtype={dtype!r} has no equal here: values are {returned}; leave it out, "
            "or use Integer for integers and Real for floats."
        )


def _probabilities(prior: Any, count: int) -> list[float]:
    """The prior as a list of `count` floats."""
    if isinstance(prior, str) or not is_listing(prior):
        raise ValueError(f"prior of categories must be a list of probabilities or None, got {prior!r}.")
    probabilities = [plain(probability) for probability in prior]
    if len(probabilities) != count:
        raise ValueError(f"prior must hold one probability per category, got {len(probabilities)} for {count}.")
    if not all(is_number(p) and 0 <= p <= 1 for p in probabilities) or abs(math.fsum(probabilities) - 1) > 1e-8:
        raise ValueError(f"prior must be probabilities that sum to 1, got {prior!r}; divide them by their sum.")
    return [float(probability) for probability in probabilities]
