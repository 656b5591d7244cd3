"""Which resource an estimator has, and between which amounts it grows."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
from sklearn.cluster import Birch

from sksearch.resources.boosters import Boosting, library_of, rounds_parameter, takes_start
from sksearch.resources.laststep import growing_part
from sksearch.resources.overrides import fits_steps_its_own_way, overrides_fit
from sksearch.resources.passes import PartialFit
from sksearch.resources.protocol import Growth
from sksearch.resources.refits import Refit
from sksearch.resources.samples import Samples, n_different
from sksearch.resources.steps import PASSES_WITHIN, Categories, Variant, last_is_searched, variants_of
from sksearch.resources.suitability import check_passes, gains_by_passes
from sksearch.resources.warmstarts import WarmStart, size_parameter

PASSES = 81
"""Default `max_resources` of `partial_fit`: dask-ml's `max_iter`."""
MOST_GROWTH = 81
"""Default ratio of `max_resources` to `min_resources`: four halvings with factor 3, as the published example."""
MOST_GROWTH_BY_FITS = 9
"""The same for a parameter, where each rung is a call of `fit` that has costs of its own.

The first of 81 trees costs as much as four in LightGBM and twelve in HistGradientBoosting (bins, predictions of what is
there), and says little of a booster with a small learning rate. Measured in docs/benchmarks/README.md.
"""


class Resolved(NamedTuple):
    """What a search hands out."""

    growth: Growth
    min_resources: int
    max_resources: int


def resolve_resource(
    estimator: Any,
    resource: str,
    *,
    min_resources: int | Literal["auto"],
    max_resources: int | Literal["auto"],
    factor: float,
    branches: Sequence[Categories],
    n_rows: int | None,
    n_splits: int,
    n_classes: int | tuple[int, ...] | None,
    y: Any = None,
    fit_params: Collection[str] = (),
) -> Resolved:
    """Say what grows, from how much to how much.

    Parameters
    ----------
    estimator : estimator
        The last step of a Pipeline counts.
    resource : str
        "auto": the first of `partial_fit` (unless all it does is to count), a size parameter that warm starts
        grow, the rounds of a booster, "n_samples" that the estimator has and the search leaves free; or one of
        these; or any integer parameter, by the name `set_params` knows. A booster's rounds have several names;
        what grows is the one that the estimator sets.
    min_resources, max_resources : int or "auto"
        "auto" for the largest: the estimator's own value of the parameter, 81 passes of
        `partial_fit`, all training rows. "auto" for the smallest: the largest divided by the greatest
        power of `factor` up to 81, of a parameter up to 9 (at least `factor` itself); but at least two
        rows per split and class.
    factor : float
        What rungs are apart.
    branches : sequence of mappings of str to collection
        The branches of the search space: values of those parameters that have no order, nothing of the others.
        `partial_fit` must suit all of them, and what they put in the place of a step have the resource that the
        step is to have.
    n_rows : int or None
        Training rows of the largest fold; None when there is no data yet.
    n_splits : int
        Number of folds.
    n_classes : int, tuple of int, or None
        Number of labels, for each of several targets; None for anything but a classifier.
    y : array-like or sparse matrix, default=None
        The labels themselves: samples have each of every target, which needs no more rows than there are
        different ones.
    fit_params : collection of str
        Names of what `fit` gets besides the data.

    >>> from sklearn.ensemble import RandomForestClassifier
    >>> resolved = resolve_resource(
    ...     RandomForestClassifier(), "auto", min_resources="auto", max_resources="auto", factor=3,
    ...     branches=[{"max_depth": []}], n_rows=150, n_splits=5, n_classes=3)
    >>> resolved.growth.resource, resolved.min_resources, resolved.max_resources
    ('n_estimators', 11, 100)

    Raises
    ------
    ValueError
        If the estimator has no such resource, the search sets it too, the amounts make no sense, or
        `partial_fit` does not take the fit parameters.
    """
    prefix, _ = growing_part(estimator)
    searched_names = {name for branch in branches for name in branch}
    if resource == "auto":
        resource = _choose(estimator, searched_names, n_classes, fit_params, branches)
    steps_of = f"{prefix}{PASSES_WITHIN}" if resource == "partial_fit" else resource
    variants = list(variants_of(estimator, steps_of, branches))
    for variant in variants:
        _check_not_searched(resource, *growing_part(variant.estimator), searched_names)
    largest = _amount("max_resources", max_resources)
    numbers = n_classes if isinstance(n_classes, tuple) else (n_classes or 1,)
    fewest = 1
    if resource == "n_samples":
        largest = _most_rows(largest, n_rows)
        samples = Samples(n_rows=n_rows or largest, stratify=n_classes is not None)
        growth: Growth = samples
        fewest = min(_most_firsts(numbers, y), samples.n_rows)
    elif resource == "partial_fit":
        for variant in variants:
            check_passes(variant, searched_names, n_classes, fit_params)
        largest = PASSES if largest is None else largest
        # A pickled Birch has copies of the arrays that its tree shares, and goes on wrongly.
        models = [growing_part(variant.estimator)[1] for variant in variants]
        growth = PartialFit(max_resources=largest, resumes=not any(isinstance(model, Birch) for model in models))
    else:
        resource = _usual_name(variants, resource)
        largest = _own_values(variants, resource, largest)
        growth = _growth_of_parameter(variants, resource, largest)
    smallest = _amount("min_resources", min_resources)
    if smallest is None:
        several = n_splits * 2 * max(numbers) if resource == "n_samples" else 1
        most_growth = MOST_GROWTH if resource in ("partial_fit", "n_samples") else MOST_GROWTH_BY_FITS
        smallest = min(largest, max(fewest, several, _least(largest, factor, most_growth)))
    if smallest > largest:
        raise ValueError(
            f"min_resources={smallest} is greater than max_resources={largest} ({resource}); lower min_resources."
        )
    if smallest < fewest:
        name, value = ("max_resources", largest) if largest < fewest else ("min_resources", smallest)
        raise ValueError(
            f"{name}={value} rows are too few to hold one of each class{' of each target' * (len(numbers) > 1)}, as "
            f"every sample of a classifier does; set it to at least {fewest}, or to 'auto'."
        )
    if isinstance(growth, Samples):
        growth = replace(growth, least=smallest)
    return Resolved(growth, smallest, largest)


def _choose(
    estimator: Any,
    searched_names: Collection[str],
    n_classes: int | tuple[int, ...] | None,
    fit_params: Collection[str],
    branches: Sequence[Categories],
) -> str:
    """The resource for "auto"; `partial_fit` of a classifier is told the labels, so they must be known."""
    prefix, model = growing_part(estimator)
    if last_is_searched(estimator, searched_names):
        return "n_samples"  # only rows suit every choice
    variants = variants_of(estimator, f"{prefix}{PASSES_WITHIN}", branches)
    if all(gains_by_passes(variant, searched_names, n_classes, fit_params) for variant in variants):
        return "partial_fit"
    size = size_parameter(model)
    if size is not None and f"{prefix}{size}" not in searched_names and _is_count(model.get_params()[size]):
        return f"{prefix}{size}"
    library = library_of(model)
    if library is not None and not set(searched_names) & {f"{prefix}{name}" for name in library.rounds}:
        return f"{prefix}{rounds_parameter(model, library)}"
    return "n_samples"


def _most_rows(largest: int | None, n_rows: int | None) -> int:
    if n_rows is None and largest is None:
        raise ValueError("resource='n_samples' counts training rows; pass X and y, or set max_resources.")
    if largest is None or n_rows is None:
        return largest or n_rows or 1
    if largest > n_rows:
        raise ValueError(
            f"max_resources={largest} is more than the {n_rows} training rows of a fold; use max_resources='auto'."
        )
    return largest


def _most_firsts(numbers: tuple[int, ...], y: Any) -> int:
    """Rows that hold each class of each target, at most: the first has one of every target."""
    most = 1 + sum(number - 1 for number in numbers)
    return most if y is None or len(numbers) == 1 else min(most, n_different(y))


def _check_not_searched(resource: str, prefix: str, model: Any, searched_names: Collection[str]) -> None:
    """What grows is set by the rungs, under whatever name."""
    library = library_of(model)
    rounds: set[str] = set() if library is None else {f"{prefix}{name}" for name in library.rounds}
    for name in sorted((rounds if resource in rounds else {resource}) & set(searched_names)):
        same = "" if name == resource else f", as {name!r}"
        raise ValueError(
            f"resource={resource!r} is also searched{same}; take it out of the search space, or choose another "
            "resource."
        )


def _growth_of_parameter(variants: Iterable[Variant], resource: str, largest: int) -> Growth:
    """What goes on with one of them at least; what cannot is fitted anew."""
    whole = [variant.estimator for variant in variants if not fits_steps_its_own_way(variant.estimator)]
    parts = [growing_part(estimator) for estimator in whole]
    boosters = [model for prefix, model in parts if _is_rounds(model, resource, prefix)]
    starts = any(takes_start(model, library) for model in boosters if (library := library_of(model)) is not None)
    warm = any(resource == f"{prefix}{size_parameter(model)}" and not overrides_fit(model) for prefix, model in parts)
    if not starts and not warm:
        return Refit(resource=resource)
    return (Boosting if boosters else WarmStart)(resource=resource, max_resources=largest)


def _is_rounds(model: Any, resource: str, prefix: str) -> bool:
    """Whether it is the number of a booster's rounds."""
    library = library_of(model)
    return library is not None and resource in {f"{prefix}{name}" for name in library.rounds}


def _usual_name(variants: Iterable[Variant], resource: str) -> str:
    """The name by which boosters are told their rounds: one only may be set."""
    names = {}
    for variant in variants:
        prefix, model = growing_part(variant.estimator)
        library = library_of(model)
        if library is not None and _is_rounds(model, resource, prefix):
            names[f"{prefix}{rounds_parameter(model, library, resource.removeprefix(prefix))}"] = variant
    if len(names) > 1:
        several = "; ".join(f"{name!r} with {variant}" for name, variant in names.items())
        raise ValueError(f"resource={resource!r} goes by several names, {several}: set it by the same in all of them.")
    return next(iter(names), resource)


def _own_values(variants: Iterable[Variant], resource: str, largest: int | None) -> int:
    """`largest`, or the value of the parameter that all of them have."""
    values = []
    for variant in variants:
        value = _own_value(variant, resource)
        if largest is None and not _is_count(value):
            raise ValueError(
                f"max_resources='auto' takes the estimator's {resource}, which is {value!r}; set a number."
            )
        values.append(value)
    if largest is None and len(set(values)) > 1:
        several = " or ".join(map(str, sorted(set(values))))
        raise ValueError(
            f"max_resources='auto' takes the estimator's {resource}, which is {several} with the steps that are "
            "searched; set a number."
        )
    return int(values[0]) if largest is None else largest


def _own_value(variant: Variant, resource: str) -> Any:
    """The estimator's own value of the parameter, or the default of a parameter that may be left out."""
    prefix, model = growing_part(variant.estimator)
    library, params = library_of(model), variant.estimator.get_params()
    default = library.default if library is not None and _is_rounds(model, resource, prefix) else None
    if resource not in params and default is None:
        if variant.placed:
            raise ValueError(
                f"resource={resource!r} is no parameter with {variant}, which is searched; use resource='n_samples', "
                "or search it on its own."
            )
        near = f"{prefix}{resource}"
        hint = f"did you mean {near!r}?" if near in params else "see estimator.get_params() for its parameters."
        raise ValueError(
            f"resource={resource!r} is neither 'partial_fit' nor 'n_samples' nor a parameter of the estimator; {hint}"
        )
    value = params.get(resource)
    if value is None:
        value = default
    if value is not None and not _is_integer(value):
        raise ValueError(f"resource={resource!r} must be an integer parameter, the estimator has {value!r}.")
    return value


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_integer(value) and bool(value >= 1)


def _amount(name: str, value: int | Literal["auto"]) -> int | None:
    """An amount of resource; None for "auto"."""
    if isinstance(value, str) and value == "auto":
        return None
    if not _is_count(value):
        raise ValueError(f"{name} must be 'auto' or an integer of at least 1, got {value!r}.")
    return int(value)


def _least(largest: int, factor: float, most_growth: int) -> int:
    """`largest` divided by the greatest power of `factor` that is at most `most_growth`, or by `factor`; at least 1."""
    if not (math.isfinite(factor) and factor > 1):
        raise ValueError(
            f"factor must be a finite number greater than 1, got {factor!r}; "
            "factor=3 keeps the best third at each rung."
        )
    exact = Fraction(repr(float(factor)))
    power = exact
    while power * exact <= most_growth:
        power *= exact
    return max(1, math.floor(largest / power))
