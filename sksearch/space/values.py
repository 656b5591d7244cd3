"""What two parameter values have in common: plain scalars, and an equality that holds for values of any type."""

from __future__ import annotations

import copyreg
import math
import reprlib
from types import FunctionType
from typing import Any

import numpy as np

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80


def short(value: object) -> str:
    """A repr of `value` that fits into a message.

    >>> short(list(range(1000)))
    '[0, 1, 2, 3, 4, 5, ...]'
    """
    return _REPR.repr(value)


def plain(value: Any) -> Any:
    """`value` as a plain Python scalar if it is a numpy number; anything else unchanged.

    >>> plain(np.int64(3)), plain(np.float64(0.5)), plain(np.True_), plain("rbf")
    (3, 0.5, True, 'rbf')
    """
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer) and value.dtype.kind != "m":  # a time difference is an integer to numpy
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    return value


def is_number(value: object) -> bool:
    """Whether `value`, made plain, is an int or a float; a bool is not.

    >>> is_number(1), is_number(1.5), is_number(True), is_number("1")
    (True, True, False, False)
    """
    return type(value) in (int, float)


def is_finite_number(value: object) -> bool:
    """Whether `value` is a number that a finite float can stand for.

    >>> is_finite_number(3), is_finite_number(float("nan")), is_finite_number(10**400)
    (True, False, False)
    """
    try:
        return isinstance(value, (int, float)) and is_number(value) and math.isfinite(value)
    except OverflowError:
        return False


def same(first: Any, second: Any) -> bool:
    """Whether two values mean the same setting of a parameter.

    Identity first, then equality between values of one type: `True`, `1` and `1.0` differ, nan is
    itself. Objects without an equality of their own (estimators, partial functions) are the same
    when they would be pickled the same, so that a deep copy is the same as its original.

    >>> same(1, 1.0), same(float("nan"), float("nan")), same((1, [2]), (1, [2]))
    (False, True, True)
    >>> from sklearn.svm import SVC
    >>> same(SVC(C=2), SVC(C=2)), same(SVC(C=2), SVC(C=3))
    (True, False)
    """
    if first is second:
        return True
    return type(first) is type(second) and _same_of_one_type(first, second)


def _same_of_one_type(first: Any, second: Any) -> bool:
    if isinstance(first, float):
        return first == second or (math.isnan(first) and math.isnan(second))
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict):
        return len(first) == len(second) and all(key in second and same(first[key], second[key]) for key in first)
    if isinstance(first, np.ndarray):
        return _same_array(first, second)
    return _same_object(first, second)


def _same_array(first: Any, second: Any) -> bool:
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    if first.dtype.hasobject:
        return all(map(same, first.ravel().tolist(), second.ravel().tolist()))
    return bool(np.array_equal(first, second, equal_nan=first.dtype.kind in "fc"))


def _same_object(first: Any, second: Any) -> bool:
    """Equality of two objects of one type: their own if it answers yes or no, else that of their pickled parts."""
    # Functions and classes are pickled by name, bare objects are told apart by nothing else: identity only.
    if type(first) in (object, FunctionType) or isinstance(first, type):
        return False
    if any("__eq__" in vars(base) for base in type(first).__mro__[:-1]):  # but object's
        try:
            return bool(first == second)
        except Exception:  # noqa: BLE001  (data frames and sparse matrices compare elementwise: no yes or no)
            return _same_parts(first, second)
    return _same_parts(first, second)


def _same_parts(first: Any, second: Any) -> bool:
    try:
        return not isinstance(parts := _parts(first), str) and same(parts, _parts(second))
    except Exception:  # noqa: BLE001  (what cannot be pickled, or refers to itself, is only equal to itself)
        return False


def _parts(value: Any) -> Any:
    reduce = copyreg.dispatch_table.get(type(value))
    parts = value.__reduce_ex__(4) if reduce is None else reduce(value)
    # Iterators over list and dict items are compared by what they yield.
    return parts if isinstance(parts, str) else (*parts[:3], *(part and list(part) for part in parts[3:5]))
