"""The last step of a Pipeline, and what reaches it: the part of an estimator that grows.

The steps before it are fitted once, on the training fold, when a model starts, and stay with the
paused model. What they made of the fold is made again by their `transform` where that is the same
bit for bit, and kept with the paused model where it is not (TargetEncoder, PCA, a resampling step).
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from copy import copy, deepcopy
from typing import Any

import numpy as np
import sklearn
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRouter, get_routing_for_object

from sksearch.nets import governed
from sksearch.resources.overrides import fits_steps_its_own_way
from sksearch.resources.protocol import Fold
from sksearch.resources.quiet import ignored, is_fatal
from sksearch.spool import KEPT_FOLD


def growing_part(estimator: Any) -> tuple[str, Any]:
    """The prefix of its parameters ("" or "step__") and the estimator that grows: the last step of Pipelines.

    >>> from sklearn.linear_model import SGDClassifier
    >>> from sklearn.preprocessing import StandardScaler
    >>> growing_part(Pipeline([("scale", StandardScaler()), ("clf", SGDClassifier())]))
    ('clf__', SGDClassifier())
    """
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return prefix, estimator


def grows_by_itself(estimator: Any, resource: str) -> bool:
    """Whether the parameter is one of the estimator that grows, not of something within it, and that can go on alone.

    >>> grows_by_itself(Pipeline([("clf", "passthrough")]), "clf__max_iter")
    True
    >>> grows_by_itself(Pipeline([("clf", "passthrough")]), "clf__estimator__max_iter")
    False
    """
    prefix, _ = growing_part(estimator)
    own = resource.startswith(prefix) and "__" not in resource.removeprefix(prefix)
    return own and not fits_steps_its_own_way(estimator)


def names_at_last(estimator: Any, names: Collection[str]) -> set[str]:
    """Those of the fit parameters `names` that reach the estimator that grows, as its `fit` knows them.

    >>> from sklearn.linear_model import SGDClassifier
    >>> sorted(names_at_last(Pipeline([("clf", SGDClassifier())]), ["clf__coef_init", "other__sample_weight"]))
    ['coef_init']
    """
    prefix, model = growing_part(estimator)
    if not prefix:
        return set(names)
    if not sklearn.get_config()["enable_metadata_routing"]:
        return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    routing = get_routing_for_object(model)
    if isinstance(routing, MetadataRouter):  # hands names on as they are
        return set(routing.consumes("fit", names))
    asked = routing.fit.requests
    return {name for name, alias in asked.items() if (name if alias is True else alias) in names}


def enter(estimator: Any, fold: Fold, *, trained: int, pause: bool) -> tuple[Any, Fold]:
    """The estimator that grows and what reaches it of `fold`; Pipeline steps before it are fitted if `trained` is 0.

    `pause`: the model may go on later, so what the steps made of the fold must be had again.
    """
    _, model = growing_part(estimator)
    if not isinstance(estimator, Pipeline):
        return model, fold
    if trained:
        kept = estimator.__dict__.get(KEPT_FOLD)
        caught = _catch(_frozen(estimator), fold) if kept is None else fold._replace(**kept)
        if not pause:
            estimator.__dict__.pop(KEPT_FOLD, None)
        return model, caught
    before = _copied(fold) if pause and _has_steps(estimator) else None  # a step may work in place
    caught = _catch(estimator, fold)
    if before is not None and not _repeats(estimator, before, caught):
        # not a parameter, so clone leaves it behind
        estimator.__dict__[KEPT_FOLD] = {name: getattr(caught, name) for name in ("X", "y", "fit_params", "whole")}
    return model, caught


def with_last(estimator: Any, model: Any) -> Any:
    """`estimator` with `model` in the place of the estimator that grows."""
    if not isinstance(estimator, Pipeline):
        return model
    name, last = estimator.steps[-1]
    estimator.steps = [*estimator.steps[:-1], (name, with_last(last, model))]
    return estimator


def _catch(pipeline: Any, fold: Fold) -> Fold:
    """Fit the steps before the last one; give what its `fit` would be called with.

    The Pipeline's own `fit` does it, with a stand-in in place of the last step: so routing of fit
    parameters, caching and steps that resample are just as the Pipeline's class has them.
    """
    _, model = growing_part(pipeline)
    catcher = _Catcher(model)
    with_last(pipeline, catcher)
    try:
        fit(pipeline, fold._replace(unfinished=False))  # the steps get no more
    finally:
        with_last(pipeline, model)
    X, y, fit_params = catcher.caught
    return fold._replace(X=X, y=y, fit_params=fit_params)


def _frozen(pipeline: Any) -> Any:
    """A Pipeline with the same fitted steps, whose `fit` only transforms, but for the last one."""
    steps = [
        (name, step if step is None or isinstance(step, str) else _Frozen(step)) for name, step in pipeline.steps[:-1]
    ]
    name, last = pipeline.steps[-1]
    frozen = copy(pipeline)
    frozen.steps = [*steps, (name, _frozen(last) if isinstance(last, Pipeline) else last)]
    frozen.memory, frozen.verbose = None, False
    return frozen


def _has_steps(estimator: Any) -> bool:
    """Whether anything is done before the last step."""
    while isinstance(estimator, Pipeline):
        if type(estimator) is not Pipeline or any(
            step not in (None, "passthrough") for _, step in estimator.steps[:-1]
        ):
            return True
        estimator = estimator.steps[-1][1]
    return False


def _copied(fold: Fold) -> Fold:
    """With rows of its own; without any where they cannot be copied."""
    plain = isinstance(fold.X, (np.ndarray, list))  # of objects: the rows, not what they hold
    try:
        return fold._replace(X=copy(fold.X) if plain else deepcopy(fold.X))
    except Exception:  # noqa: BLE001 - whatever a container of the user's raises
        return fold._replace(X=None)


def _repeats(pipeline: Any, fold: Fold, caught: Fold) -> bool:
    """Whether transforming gives what fitting gave, bit for bit; by copies of the steps, as one may draw or count."""
    try:
        again = _catch(_frozen(deepcopy(pipeline)), fold)
        if again.fit_params.keys() != caught.fit_params.keys():
            return False
        pairs = [(again.X, caught.X), (again.y, caught.y)]
        pairs += [(again.fit_params[name], value) for name, value in caught.fit_params.items()]
        return all(_same(one, other) for one, other in pairs)
    except Exception:  # noqa: BLE001 - whatever a step without a proper transform, or a comparison, raises
        return False


def _same(one: Any, other: Any) -> bool:
    """Whether two tables, arrays, sparse matrices or lists are equal bit for bit (nan equals nan); in doubt, not."""
    if one is other or type(one) is not type(other):
        return one is other
    if hasattr(one, "equals"):
        return bool(one.equals(other))
    if hasattr(one, "tocsr"):
        one, other = one.tocsr(), other.tocsr()
        return _same(*([a.shape, a.indptr, a.indices, a.data] for a in (one, other)))
    if isinstance(one, np.ndarray) and one.dtype.hasobject:
        one, other = one.tolist(), other.tolist()
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, np.ndarray):
        return bool(one.dtype == other.dtype) and one.shape == other.shape and one.tobytes() == other.tobytes()
    return bool(np.all(one == other))


class _Catcher(BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """Stands for an estimator and notes what its `fit` is called with."""

    def __init__(self, stands_for: Any) -> None:
        self.stands_for = stands_for

    def get_metadata_routing(self) -> Any:
        """Ask for the metadata that the estimator asks for."""
        return get_routing_for_object(self.stands_for)

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> _Catcher:
        self.caught = X, y, fit_params
        return self


class _Frozen(BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """A fitted transformer that cannot be fitted again."""

    def __init__(self, step: Any) -> None:
        self.step = step

    def get_metadata_routing(self) -> Any:
        """Ask for the metadata that the step asks for."""
        return get_routing_for_object(self.step)

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> _Frozen:  # noqa: ARG002
        return self

    def transform(self, X: Any, **params: Any) -> Any:
        return self.step.transform(X, **params)


def fit(estimator: Any, fold: Fold) -> Any:
    """As scikit-learn's searches call it: y only if there is one."""
    labels = () if fold.y is None else (fold.y,)
    quiet = fold.unfinished and not is_fatal(ConvergenceWarning)
    with (
        governed(estimator, growing_part(estimator)[1], fold.seed),
        ignored(ConvergenceWarning) if quiet else nullcontext(),
    ):
        return estimator.fit(fold.X, *labels, **fold.fit_params)
