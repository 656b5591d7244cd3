"""What a user's subclass changes: a `fit` of its own does something that going on by other methods would leave out."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sklearn.pipeline import Pipeline

_PIPELINES = ("sklearn", "imblearn")
"""Packages whose Pipelines hand their last step what the steps before it made, and leave it as it is."""


def definer_of(name: str, model: Any) -> type | None:
    """The class that a method of `model` comes from.

    >>> from sklearn.linear_model import SGDClassifier
    >>> definer_of("decision_function", SGDClassifier()).__name__
    'LinearClassifierMixin'
    """
    return next((cls for cls in type(model).__mro__ if name in vars(cls)), None)


def fits_its_own_way(model: Any, packages: Collection[str]) -> bool:
    """Whether `fit` comes from outside these packages, so what it does beside theirs is not known.

    >>> from sklearn.linear_model import SGDRegressor
    >>> class OfLogarithms(SGDRegressor):
    ...     def fit(self, X, y):
    ...         return super().fit(X, np.log(y))
    >>> fits_its_own_way(OfLogarithms(), ["sklearn"]), fits_its_own_way(SGDRegressor(), ["sklearn"])
    (True, False)
    """
    owner = definer_of("fit", model)
    return owner is not None and owner.__module__.partition(".")[0] not in packages


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
    if fits is None or passes is None or not fits_its_own_way(model, ["sklearn"]):
        return False
    order = type(model).__mro__
    knew_another = any("fit" in vars(cls) for cls in passes.__mro__)
    return knew_another and order.index(fits) < order.index(passes)


def fits_steps_its_own_way(estimator: Any) -> bool:
    """Whether it is a Pipeline of a class that changes `fit`, or ends with such a one."""
    while isinstance(estimator, Pipeline):
        if fits_its_own_way(estimator, _PIPELINES):
            return True
        estimator = estimator.steps[-1][1]
    return False
