"""What a user's subclass changes: a `fit` of its own does something that going on by other methods would leave out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

_KNOWN = ("sklearn", "imblearn", "skorch")
"""Packages whose `fit` does nothing that `partial_fit`, a warm start or a Pipeline's steps alone would leave out."""


def definer_of(name: str, model: Any) -> type | None:
    """The class that a method of `model` comes from.

    >>> from sklearn.linear_model import SGDClassifier
    >>> definer_of("decision_function", SGDClassifier()).__name__
    'LinearClassifierMixin'
    """
    return next((cls for cls in type(model).__mro__ if name in vars(cls)), None)


def is_own(name: str, model: Any, packages: Collection[str]) -> bool:
    """Whether a method comes from outside these packages, so what it does beside theirs is not known."""
    owner = definer_of(name, model)
    return owner is not None and owner.__module__.partition(".")[0] not in packages


def setting(name: str, model: Any) -> Any:
    """What a parameter of `model` is, or what its class has set without having it as a parameter; else None.

    A property may tell what a model within has, which is none of the model's own business.

    >>> from sklearn.linear_model import SGDClassifier
    >>> class Balanced(SGDClassifier):
    ...     def __init__(self, alpha=1e-4):
    ...         super().__init__(alpha=alpha, class_weight="balanced")
    >>> setting("class_weight", Balanced()), setting("n_estimators", Balanced())
    ('balanced', None)
    """
    params = model.get_params(deep=False) if hasattr(model, "get_params") and not isinstance(model, type) else {}
    return {**getattr(model, "__dict__", {}), **params}.get(name)


def passes_leave_out_fit(model: Any) -> bool:
    """Whether `partial_fit` was written for another `fit` than the one that a user's subclass has.

    >>> from sklearn.linear_model import SGDRegressor
    >>> class OfLogarithms(SGDRegressor):
    ...     def fit(self, X, y):
    ...         return super().fit(X, np.log(y))
    >>> passes_leave_out_fit(OfLogarithms()), passes_leave_out_fit(SGDRegressor())
    (True, False)
    """
    fits, passes = definer_of("fit", model), definer_of("partial_fit", model)
    if fits is None or passes is None or not overrides_fit(model):
        return False
    order = type(model).__mro__
    knew_another = any("fit" in vars(cls) for cls in passes.__mro__)
    return knew_another and order.index(fits) < order.index(passes)


def overrides_fit(model: Any) -> bool:
    """Whether a user's subclass has another `fit` than the class that it extends, which may fit twice, say."""
    owner = definer_of("fit", model)
    if owner is None or not is_own("fit", model, _KNOWN):
        return False
    order = type(model).__mro__
    others = (vars(cls)["fit"] for cls in order[order.index(owner) + 1 :] if "fit" in vars(cls))
    return not all(getattr(fit, "__isabstractmethod__", False) for fit in others)


def reached_by_passes(model: Any, prefix: str = "", *, surely: bool = False) -> Iterator[tuple[str, Any]]:
    """What makes passes when `model` does, with the prefix of its parameters: itself, and its `estimator`.

    Of a `partial_fit` that is not scikit-learn's own nobody knows what it hands on to: all that makes passes, or
    (`surely`) nothing.

    >>> from sklearn.linear_model import SGDClassifier
    >>> from sklearn.multiclass import OneVsRestClassifier
    >>> [prefix for prefix, _ in reached_by_passes(OneVsRestClassifier(SGDClassifier()))]
    ['', 'estimator__']
    """
    if not hasattr(model, "partial_fit") or isinstance(model, type):
        return
    yield prefix, model
    if not isinstance(model, BaseEstimator):
        return
    params = model.get_params(deep=False)
    if is_own("partial_fit", model, ["sklearn"]):
        params = {} if surely else params
    else:
        params = {name: value for name, value in params.items() if name == "estimator"}
    for name, value in params.items():
        yield from reached_by_passes(value, f"{prefix}{name}__", surely=surely)


def fits_steps_its_own_way(estimator: Any) -> bool:
    """Whether it is a Pipeline of a class that changes `fit`, or ends with such a one."""
    while isinstance(estimator, Pipeline):
        if is_own("fit", estimator, _KNOWN):
            return True
        estimator = estimator.steps[-1][1]
    return False
