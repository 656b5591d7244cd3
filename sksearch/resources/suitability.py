"""Whether an estimator can be trained by passes, with everything that a search sets of it; and if not, why not."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.decomposition import IncrementalPCA
from sklearn.feature_selection import SelectFromModel
from sklearn.multiclass import OneVsOneClassifier
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler
from sklearn.utils.metadata_routing import MetadataRouter, get_routing_for_object

from sksearch.nets import has_net, is_net, loads_a_file
from sksearch.resources.laststep import growing_part, names_at_last
from sksearch.resources.overrides import (
    definer_of,
    fits_steps_its_own_way,
    is_own,
    passes_leave_out_fit,
    reached_by_passes,
    setting,
)
from sksearch.resources.passes import learns_several_targets, takes_classes
from sksearch.resources.steps import Categories, Variant
from sksearch.resources.warmstarts import size_parameter

_COUNTS = (
    *(BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB),
    *(IncrementalPCA, MaxAbsScaler, MinMaxScaler, StandardScaler),
)
"""They take in sums: another pass over the same rows counts these again, and no more is known than before."""

_LINEAR = ("max_iter", "tol", "n_iter_no_change", "validation_fraction")
_NOT_READ = {
    **dict.fromkeys(("SGDClassifier", "SGDRegressor", "SGDOneClassSVM", "Perceptron"), _LINEAR),
    **dict.fromkeys(("PassiveAggressiveClassifier", "PassiveAggressiveRegressor"), _LINEAR),
    **dict.fromkeys(("MLPClassifier", "MLPRegressor"), ("max_iter", "max_fun", "validation_fraction")),
    "BernoulliRBM": ("n_iter",),
    "IncrementalPCA": ("batch_size",),
    "LatentDirichletAllocation": ("max_iter", "learning_method", "evaluate_every", "perp_tol"),
    "MiniBatchDictionaryLearning": ("max_iter", "tol", "max_no_improvement", "batch_size", "shuffle"),
    "MiniBatchKMeans": ("max_iter", "tol", "max_no_improvement", "n_init"),
    "MiniBatchNMF": ("max_no_improvement", "fresh_restarts"),
}
"""Parameters that neither `partial_fit` of scikit-learn's classes reads nor what is asked of the model later."""


def check_passes(
    variant: Variant,
    searched_names: Collection[str],
    n_classes: int | tuple[int, ...] | None,
    fit_params: Collection[str],
) -> None:
    """Raise ValueError if not, with the reason."""
    prefix, model, searched = _as_tried(variant)
    other = _other_resource(variant, prefix, model, searched_names)
    if fits_steps_its_own_way(variant.estimator):
        raise ValueError(
            "resource='partial_fit' would leave out what the Pipeline's own class does in fit beside its steps; "
            f"use resource={other!r}."
        )
    if refusal := _refusal(prefix, model, searched, other):
        own = variant.placed and _own_refusal(model) == refusal
        raise ValueError(f"{refusal} (It is searched: {variant}.)" if own else refusal)
    for name in _without_effect(model, searched):
        if f"{prefix}{name}" in variant.branch:
            raise ValueError(
                f"resource='partial_fit' makes passes, for which {prefix}{name} means nothing, but it is searched; "
                f"take it out of the search space, or use resource={other!r}."
            )
    names = names_at_last(variant.estimator, fit_params)
    if _hides_classifier(model) and "classes" not in names:
        raise ValueError(
            f"resource='partial_fit' does not suit {type(model).__name__}: it is no classifier, and the one within has "
            "to be told all labels; use resource='n_samples'."
        )
    needs_labels = not is_own("partial_fit", model, ["sklearn"]) and takes_classes(model) and "classes" not in names
    if isinstance(n_classes, tuple) and needs_labels and not learns_several_targets(model):
        raise ValueError(
            f"resource='partial_fit' cannot tell {type(model).__name__} the labels of several targets; use a "
            f"MultiOutputClassifier around its estimator, or resource={other!r}."
        )
    _check_fit_params(model, names, other)


def gains_by_passes(
    variant: Variant,
    searched_names: Collection[str],
    n_classes: int | tuple[int, ...] | None,
    fit_params: Collection[str],
) -> bool:
    """Whether passes are possible, with all that the search sets, and each teaches more."""
    try:
        check_passes(variant, searched_names, n_classes, fit_params)
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


def _refusal(prefix: str, model: Any, searched: Categories, other_resource: str) -> str | None:
    """Why not to use `partial_fit`, as an error says it; None where nothing that the search sets speaks against it."""
    refusal = _own_refusal(model)
    if refusal is not None:
        return refusal
    for parameter, values in searched.items():
        name = f"{prefix}{parameter}"
        for value in values if not is_net(model) or parameter.startswith("callbacks") else ():
            other = _with(model, {parameter: value})
            if other is not None and _own_refusal(other) is not None:
                return (
                    f"resource='partial_fit' does not suit {name}={value!r}, which is searched: "
                    f"{type(model).__name__} cannot make single passes then; take it out of the search space, or use "
                    f"resource={other_resource!r}."
                )
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
        is_parameter = "early_stopping" in model.get_params(deep=False) if hasattr(model, "get_params") else False
        remedy = "set it to False or use resource='max_iter'" if is_parameter else "use resource='n_samples'"
        return f"resource='partial_fit' needs early_stopping=False, {name} refuses partial_fit otherwise; {remedy}."
    return _refusal_of_parts(model)


def _refusal_of_parts(model: Any) -> str | None:
    """Of the model itself, and of those within."""
    name = type(model).__name__
    params = model.get_params() if hasattr(model, "get_params") else {}
    for prefix, part in reached_by_passes(model):
        if prefix:
            params |= {f"{prefix}{own}": setting(own, part) for own in ("early_stopping", "class_weight")}
        if passes_leave_out_fit(part):
            own = type(part).__name__
            return (
                f"resource='partial_fit' would leave out what {own}.fit does beside the fit of its base class; give "
                f"{own} a partial_fit of its own, or use resource='n_samples' or the name of an integer parameter."
            )
    for parameter, value in params.items():
        if parameter.endswith("__early_stopping") and _is_true(value):
            return (
                f"resource='partial_fit' needs {parameter}=False, {name} refuses partial_fit otherwise; "
                "use resource='n_samples', or set it to False."
            )
        if parameter.endswith("__class_weight") and isinstance(value, str):
            return (
                f"resource='partial_fit' cannot have {parameter}={value!r} within {name}: partial_fit does not see all "
                "labels at once; set the weights as a dict or use resource='n_samples'."
            )
    return None


def _refusal_of_net(net: Any) -> str | None:
    name = type(net).__name__
    for own in ("partial_fit", "fit"):
        if is_own(own, net, ["skorch"]):
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


def _stops_itself(model: Any) -> bool:
    return _is_true(setting("early_stopping", model))


def _is_true(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_)) and bool(value)


def _only_counts(model: Any) -> bool:
    """Whether passes teach it nothing, or what makes passes within it."""
    if isinstance(model, _COUNTS):
        return True
    within = model.get_params(deep=False).values() if isinstance(model, BaseEstimator) else ()
    return any(_only_counts(part) for part in within if hasattr(part, "partial_fit"))


def _hides_classifier(model: Any) -> bool:
    """Whether it makes passes with a classifier, and is none: nobody tells that the labels."""
    return isinstance(model, SelectFromModel) and is_classifier(model.estimator)


def _without_effect(model: Any, searched: Categories) -> list[str]:
    """Parameters that mean something to `fit` and nothing to passes: how many there are is for the rungs to say."""
    if is_net(model):
        return ["max_epochs"]
    return [
        f"{prefix}{name}"
        for prefix, part in reached_by_passes(model, surely=True)
        for name in _not_read(prefix, part, searched)
    ]


def _not_read(prefix: str, model: Any, searched: Categories) -> list[str]:
    """Those of the model alone; `prefix` is that of its parameters among `searched`."""
    passes = definer_of("partial_fit", model)
    if not isinstance(model, BaseEstimator) or passes is None or not passes.__module__.startswith("sklearn."):
        return []
    params = model.get_params(deep=False)
    names = [name for cls in type(model).__mro__ for name in _NOT_READ.get(cls.__name__, ()) if name in params]
    if isinstance(model, (MLPClassifier, MLPRegressor)):
        values = {name: [*searched.get(f"{prefix}{name}", [params[name]])] for name in ("solver", "learning_rate")}
        if "sgd" not in values["solver"] or "adaptive" not in values["learning_rate"]:  # it counts passes as they come
            names += ["tol", "n_iter_no_change"]
    return names


def _as_tried(variant: Variant) -> tuple[str, Any, Categories]:
    """The prefix of what grows, that model as some trial has it, and what else is searched of it, without the prefix.

    The values that the model itself has where others are searched are in no trial.
    """
    prefix, model = growing_part(variant.estimator)
    beside = {
        name.removeprefix(prefix): values
        for name, values in variant.branch.items()
        if values and name.startswith(prefix) and name not in variant.placed
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


def _check_fit_params(model: Any, names: Collection[str], other_resource: str) -> None:
    """`partial_fit` may take less than `fit`: `coef_init`, say, makes no sense at the second pass."""
    if sklearn.get_config()["enable_metadata_routing"] and not is_net(model):  # whose epochs are those of `fit`
        _check_routes(model, names, other_resource)
    accepted = inspect.signature(model.partial_fit).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
        return
    for name in sorted(set(names) - set(accepted)):
        raise ValueError(
            f"resource='partial_fit' has no place for the fit parameter {name!r}: {type(model).__name__}.partial_fit "
            f"takes {', '.join(accepted)}; leave it out, or use resource={other_resource!r}."
        )


def _check_routes(model: Any, names: Collection[str], other_resource: str) -> None:
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
            f"resource={other_resource!r}."
        ) from error


def _other_resource(variant: Variant, prefix: str, model: Any, searched_names: Collection[str]) -> str:
    """What to name in place of `partial_fit`: rows suit whatever is put in the place of a step."""
    size = None if variant.placed else size_parameter(model)
    return "n_samples" if size is None or f"{prefix}{size}" in searched_names else f"{prefix}{size}"
