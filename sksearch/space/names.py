"""Whether an estimator has the parameters that a branch of a search space names."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.base import clone

from sksearch.space.dimensions import Dimension, Levels, SampleOnly
from sksearch.space.values import short

_MAX_COMBINATIONS = 256
"""Most combinations of searched steps that are tried."""
_DRAWS = 16
"""Draws that are tried of a searched step whose values are not listed."""
_ALL_PARTS = ("steps", "transformer_list", "estimators")
"""Parameters with all parts of an estimator of scikit-learn, whose names are then those of other parameters."""


def check_branch_names(branch: Mapping[str, Dimension], estimator: Any) -> None:
    """Refuse names that `set_params` does not accept on a clone of `estimator`.

    Parameters
    ----------
    branch : mapping from names to dimensions
        Names such as `clf__C`. One that is a prefix of others (`clf`) is a searched step; `steps` is all of them.
    estimator : estimator
        Left as it is.

    Raises
    ------
    ValueError
        If a name is accepted with no value of the steps before it, or names never together.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> from sksearch.space import Space
    >>> Space.parse({"Gamma": [0.1, 1]}, argument="param_grid").check_names(SVC())
    Traceback (most recent call last):
    ...
    ValueError: param_grid: 'Gamma' is not a parameter of SVC; did you mean 'gamma'?
    """
    for group in _groups(branch):
        _check_group(group, branch, estimator)


def _groups(branch: Mapping[str, Dimension]) -> list[list[str]]:
    """Names by the outermost searched step that they belong to: what one accepts, the others do not change."""
    groups: dict[str, list[str]] = {}
    for name in sorted(branch, key=lambda name: (name.count("__"), _beginning(name) == f"{name}__")):
        root = next((root for root in groups if name.startswith(_beginning(root))), name)
        groups.setdefault(root, []).append(name)
    return list(groups.values())


def _beginning(name: str) -> str:
    """What the names begin with that depend on the value of `name`: of a step, or of all steps."""
    owner, _, last = name.rpartition("__")
    if last in _ALL_PARTS:
        return f"{owner}__" if owner else ""
    return f"{name}__"


def _check_group(names: list[str], branch: Mapping[str, Dimension], estimator: Any) -> None:
    steps = [name for name in names if any(other.startswith(_beginning(name)) for other in names if other != name)]
    never_accepted = set(names)
    tried = [_probes(branch[name]) if name in steps else [_probe(branch[name])] for name in names]
    exhaustive = math.prod(map(len, tried)) <= _MAX_COMBINATIONS
    for combination in itertools.product(*tried) if exhaustive else _cycled(tried):
        candidate = clone(estimator)
        values = zip(names, combination, strict=True)
        rejected = {name for name, value in values if not _accepts(candidate, name, value)}
        if not rejected:
            return
        never_accepted &= rejected
    if never_accepted:
        raise ValueError(_unknown(min(never_accepted, key=names.index), candidate, names, steps))
    if exhaustive:
        raise ValueError(
            f"no value of {_listing(steps)} has all of {_listing(name for name in names if name not in steps)}, so no "
            "candidate could be fitted; write a list of dicts, one for each value with its own parameters."
        )


def _probes(dimension: Dimension) -> list[Any]:
    """Values to try for a searched step: all of a table, some draws, one of anything else."""
    if isinstance(dimension, Levels):
        return list(dimension.values[:_MAX_COMBINATIONS])
    if isinstance(dimension, SampleOnly):
        rng = np.random.default_rng(0)
        return [dimension.sample(rng) for _ in range(_DRAWS)]
    return [dimension.from_unit(0.5)]


def _probe(dimension: Dimension) -> Any:
    """A value to try for a parameter that nothing depends on."""
    return None if isinstance(dimension, SampleOnly) else _probes(dimension)[0]


def _cycled(tried: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
    """Combinations in which every value of every list occurs, where there are too many for all of them."""
    for position in range(_MAX_COMBINATIONS):
        yield tuple(values[position % len(values)] for values in tried)


def _accepts(estimator: Any, name: str, value: Any) -> bool:
    """Set one parameter; whether the estimator has it."""
    try:
        estimator.set_params(**{name: clone(value, safe=False)})  # the user's object is not to be changed by the next
    except (ValueError, TypeError, AttributeError, KeyError):
        return False
    return True


def _unknown(name: str, estimator: Any, names: list[str], steps: list[str]) -> str:
    """What to say of a name that was never accepted, with the parameters of the last candidate."""
    known = sorted(set(estimator.get_params(deep=True)).difference(names))
    close = difflib.get_close_matches(name, known, n=1)
    searched = f" with any value of {_listing(steps)}" if steps else ""
    remedy = f"did you mean {close[0]!r}?" if close else f"it has {short(known)} (see get_params())."
    return f"{name!r} is not a parameter of {type(estimator).__name__}{searched}; {remedy}"


def _listing(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
