"""Which resource an estimator has, and between which amounts it grows."""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.cluster import Birch
from sklearn.decomposition import IncrementalPCA
from sklearn.feature_selection import SelectFromModel
from sklearn.multiclass import OneVsOneClassifier
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler
from sklearn.utils.metadata_routing import MetadataRouter, get_routing_for_object

from sksearch.nets import has_net, is_net, loads_a_file, passed_over
from sksearch.resources.boosters import Boosting, library_of, rounds_parameter
from sksearch.resources.laststep import growing_part, names_at_last
from sksearch.resources.passes import PartialFit, learns_several_targets
from sksearch.resources.protocol import Growth
from sksearch.resources.refits import Refit
from sksearch.resources.samples import Samples, n_different
from sksearch.resources.steps import PASSES_WITHIN, Categories, Variant, last_is_searched, variants_of
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

_COUNTS = (
    *(BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB),
    *(IncrementalPCA, MaxAbsScaler, MinMaxScaler, StandardScaler),
)
"""They take in sums: another pass over the same rows counts these again, and no more is known than before."""


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
    searched_names: Collection[str],
    n_rows: int | None,
    n_splits: int,
    n_classes: int | tuple[int, ...] | None,
    y: Any = None,
    fit_params: Collection[str] = (),
    branches: Sequence[Categories] = ({},),
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
    searched_names : collection of str
        Parameters in the search space.
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
    branches : sequence of mappings of str to collection, default=one of nothing
        The branches of the search space: values of those parameters that have no order. `partial_fit` must
        suit all of them, and what they put in the place of a step have the resource that the step is to have.

    >>> from sklearn.ensemble import RandomForestClassifier
    >>> resolved = resolve_resource(
    ...     RandomForestClassifier(), "auto", min_resources="auto", max_resources="auto", factor=3,
    ...     searched_names=["max_depth"], n_rows=150, n_splits=5, n_classes=3)
    >>> resolved.growth.resource, resolved.min_resources, resolved.max_resources
    ('n_estimators', 11, 100)

    Raises
    ------
    ValueError
        If the estimator has no such resource, the search sets it too, the amounts make no sense, or
        `partial_fit` does not take the fit parameters.
    """
    prefix, _ = growing_part(estimator)
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
            _check_passes(variant, searched_names, fit_params)
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
    if all(_gains_by_passes(variant, searched_names, n_classes, fit_params) for variant in variants):
        return "partial_fit"
    size = size_parameter(model)
    if size is not None and f"{prefix}{size}" not in searched_names and _is_count(model.get_params()[size]):
        return f"{prefix}{size}"
    library = library_of(model)
    if library is not None and not set(searched_names) & {f"{prefix}{name}" for name in library.rounds}:
        return f"{prefix}{rounds_parameter(model, library)}"
    return "n_samples"


def _gains_by_passes(
    variant: Variant,
    searched_names: Collection[str],
    n_classes: int | tuple[int, ...] | None,
    fit_params: Collection[str],
) -> bool:
    """Whether passes are possible, with all that the search sets, and each teaches more."""
    try:
        _check_passes(variant, searched_names, fit_params)
    except ValueError:
        return False
    _, model, _ = _as_tried(variant)
    known = n_classes is not None and (not isinstance(n_classes, tuple) or learns_several_targets(model))
    if is_classifier(variant.estimator) and not known:
        return False
    # OneVsOneClassifier compares labels that are words with numbers in partial_fit (seen with scikit-learn 1.9)
    unsuited = isinstance(model, OneVsOneClassifier) or _hides_classifier(model) or _only_counts(model)
    makes_many_epochs = has_net(model) and not is_net(model)  # with each pass of a net within it
    return not (unsuited or makes_many_epochs)


def _only_counts(model: Any) -> bool:
    """Whether passes teach it nothing, or what makes passes within it."""
    if isinstance(model, _COUNTS):
        return True
    within = model.get_params(deep=False).values() if isinstance(model, BaseEstimator) else ()
    return any(_only_counts(part) for part in within if hasattr(part, "partial_fit"))


def _iterations(model: Any) -> list[str]:
    """Parameters that passes by `partial_fit` stand in the place of, and that mean nothing beside them."""
    if is_net(model):
        return ["max_epochs"]
    if not isinstance(model, BaseEstimator) or not hasattr(model, "partial_fit"):
        return []
    own = any(cls.__module__.startswith("sklearn.") and hasattr(cls, "partial_fit") for cls in type(model).__mro__)
    params = model.get_params(deep=False)
    names = [name for name in ("max_iter", "n_iter") if own and name in params]
    return names + [f"{part}__{name}" for part, value in params.items() for name in _iterations(value)]


def _hides_classifier(model: Any) -> bool:
    """Whether it makes passes with a classifier, and is none: nobody tells that the labels."""
    return isinstance(model, SelectFromModel) and is_classifier(model.estimator)


def _refusal(prefix: str, model: Any, searched_names: Collection[str], searched: Categories) -> str | None:
    """Why not to use `partial_fit`, as an error says it; None where nothing that the search sets speaks against it."""
    refusal = _own_refusal(model)
    if refusal is not None:
        return refusal
    for parameter, values in searched.items():
        name = f"{prefix}{parameter}"
        for value in values if not is_net(model) or parameter.startswith("callbacks") else ():
            other = _with(model, {parameter: value})
            if other is not None and _own_refusal(other) is not None:
                resource = _other_resource(prefix, model)
                return (
                    f"resource='partial_fit' does not suit {name}={value!r}, which is searched: "
                    f"{type(model).__name__} cannot make single passes then; take it out of the search space, or use "
                    f"resource={'n_samples' if resource in searched_names else resource!r}."
                )
    return None


def _as_tried(variant: Variant) -> tuple[str, Any, Categories]:
    """The prefix of what grows, that model as some trial has it, and what else is searched of it, without the prefix.

    The values that the model itself has where others are searched are in no trial.
    """
    prefix, model = growing_part(variant.estimator)
    beside = {
        name.removeprefix(prefix): values
        for name, values in variant.branch.items()
        if name.startswith(prefix) and name not in variant.placed
    }
    firsts = {name: next(iter(values)) for name, values in beside.items()}
    models = {n: value for n, value in firsts.items() if hasattr(value, "get_params") and not isinstance(value, type)}
    placed = _with(model, models) if models else None
    model = model if placed is None else placed
    own = model.get_params() if hasattr(model, "get_params") else {}
    searched = {name: values for name, values in beside.items() if name in own or is_net(model)}
    if searched and _own_refusal(model) is not None:
        tried = _with(model, {name: next(iter(values)) for name, values in searched.items()})
        model = model if tried is None or _own_refusal(tried) is not None else tried
    return prefix, model, searched


def _with(model: Any, params: Mapping[str, Any]) -> Any:
    """A copy of `model` with these parameters; None if they go only with other values of others."""
    try:
        return clone(model).set_params(**{name: clone(value, safe=False) for name, value in params.items()})
    except Exception:  # noqa: BLE001 - whatever the estimator raises
        return None


def _own_refusal(model: Any) -> str | None:
    """The same for a model as it is set."""
    name = type(model).__name__
    if is_net(model):
        return _refusal_of_net(model)
    if not hasattr(model, "partial_fit"):
        return (
            f"resource='partial_fit' needs an estimator with partial_fit, {name} has none as it is set; "
            "use resource='n_samples' or the name of an integer parameter."
        )
    if _stops_itself(model):
        return (
            f"resource='partial_fit' needs early_stopping=False, {name} refuses partial_fit otherwise; "
            "set it to False or use resource='max_iter'."
        )
    for parameter, value in model.get_params().items() if hasattr(model, "get_params") else ():
        if parameter.endswith("__early_stopping") and _is_true(value):
            return (
                f"resource='partial_fit' needs {parameter}=False, {name} refuses partial_fit otherwise; "
                "set it to False or use resource='n_samples'."
            )
        if parameter.endswith("__class_weight") and isinstance(value, str):
            return (
                f"resource='partial_fit' cannot have {parameter}={value!r} within {name}: partial_fit does not see all "
                "labels at once; set the weights as a dict or use resource='n_samples'."
            )
    return None


def _refusal_of_net(net: Any) -> str | None:
    name = type(net).__name__
    if own := passed_over(net):
        return (
            f"resource='partial_fit' trains a net of skorch epoch by epoch and would not call {name}.{own}; use "
            "resource='max_epochs', or 'n_samples'."
        )
    if loads_a_file(net):
        return (
            "resource='partial_fit' does not suit a Checkpoint with load_best=True, as other trials write to the file "
            "while a net is paused; use EarlyStopping(load_best=True), or resource='max_epochs'."
        )
    return None


def _check_passes(variant: Variant, searched_names: Collection[str], fit_params: Collection[str]) -> None:
    prefix, model, searched = _as_tried(variant)
    if refusal := _refusal(prefix, model, searched_names, searched):
        own = variant.placed and _own_refusal(model) == refusal
        raise ValueError(f"{refusal} (It is searched: {variant}.)" if own else refusal)
    for name in _iterations(model):
        if f"{prefix}{name}" in searched_names:
            raise ValueError(
                f"resource='partial_fit' makes passes in place of {prefix}{name}, which is searched too; take it out "
                f"of the search space, or use resource='n_samples'."
            )
    names = names_at_last(variant.estimator, fit_params)
    if _hides_classifier(model) and "classes" not in names:
        raise ValueError(
            f"resource='partial_fit' does not suit {type(model).__name__}: it is no classifier, and the one within has "
            "to be told all labels; use resource='n_samples'."
        )
    _check_fit_params(prefix, model, names)


def _check_fit_params(prefix: str, model: Any, names: Collection[str]) -> None:
    """`partial_fit` may take less than `fit`: `coef_init`, say, makes no sense at the second pass."""
    if sklearn.get_config()["enable_metadata_routing"] and not is_net(model):  # whose epochs are those of `fit`
        _check_routes(prefix, model, names)
    accepted = inspect.signature(model.partial_fit).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
        return
    for name in sorted(set(names) - set(accepted)):
        raise ValueError(
            f"resource='partial_fit' has no place for the fit parameter {name!r}: {type(model).__name__}.partial_fit "
            f"takes {', '.join(accepted)}; leave it out, or use resource={_other_resource(prefix, model)!r}."
        )


def _check_routes(prefix: str, model: Any, names: Collection[str]) -> None:
    """A meta-estimator hands on in `partial_fit` what is requested for that, whatever is for `fit`."""
    routing = get_routing_for_object(model)
    if not isinstance(routing, MetadataRouter):
        return
    params = dict.fromkeys(sorted(names), ())
    try:
        routing.validate_metadata(method="partial_fit", params=params)
        routing.route_params(caller="partial_fit", params=params)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"resource='partial_fit' needs {', '.join(params)} requested for partial_fit within "
            f"{type(model).__name__}, as for fit: call set_partial_fit_request on the estimator that takes it, or use "
            f"resource={_other_resource(prefix, model)!r}."
        ) from error


def _other_resource(prefix: str, model: Any) -> str:
    """What to name in place of `partial_fit`."""
    size = size_parameter(model)
    return "n_samples" if size is None else f"{prefix}{size}"


def _stops_itself(model: Any) -> bool:
    params = model.get_params(deep=False) if hasattr(model, "get_params") else {}
    return _is_true(params.get("early_stopping"))


def _is_true(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_)) and bool(value)


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
    parts = [growing_part(variant.estimator) for variant in variants]
    if any(_is_rounds(model, resource, prefix) for prefix, model in parts):
        return Boosting(resource=resource, max_resources=largest)
    if any(resource == f"{prefix}{size_parameter(model)}" for prefix, model in parts):
        return WarmStart(resource=resource, max_resources=largest)
    return Refit(resource=resource)


def _is_rounds(model: Any, resource: str, prefix: str) -> bool:
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
