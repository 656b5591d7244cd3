"""What a warm start does to scikit-learn's estimators: which parameter grows, what it counts, when it goes on."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression

_HIST = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
_BOOSTING = (GradientBoostingClassifier, GradientBoostingRegressor)
_BAGGING = (BaggingClassifier, BaggingRegressor)


def counts_total(model: Any, name: str) -> bool:
    """Whether the size parameter counts members in all, or the iterations of one fit."""
    return name == "n_estimators" or isinstance(model, _HIST)


def stopped_early(model: Any) -> bool:
    """Whether early stopping ended the last fit: HistGradientBoosting would add one more round at each call."""
    if not (isinstance(model, _HIST) and model.do_early_stopping_):
        return False
    scores = model.validation_score_ if len(model.validation_score_) else model.train_score_
    if len(scores) <= model.n_iter_no_change:
        return False
    recent, before = scores[-model.n_iter_no_change :], scores[-model.n_iter_no_change - 1]
    return not bool(np.any(recent > before + model.tol))


def goes_on(model: Any, name: str) -> bool:
    """Whether a warm start of this model is possible and trains just the difference."""
    params = model.get_params(deep=False)
    if isinstance(model, _BAGGING):
        return not params["oob_score"]  # refused with warm_start
    if isinstance(model, _BOOSTING):
        return params["n_iter_no_change"] is None  # what it has seen so far is forgotten
    if isinstance(model, LogisticRegression):
        return bool(params["solver"] != "liblinear")  # starts from nothing
    return size_parameter(model) == name


def size_parameter(model: Any) -> str | None:
    """The parameter that a warm start of `model` grows, if any.

    `n_estimators` counts members by its name; what `max_iter` counts is known of scikit-learn's own
    classes (and of subclasses) only.
    """
    params = model.get_params(deep=False) if hasattr(model, "get_params") else {}
    if "warm_start" not in params:
        return None
    if "n_estimators" in params:
        return "n_estimators"
    own = any(
        cls.__module__.startswith("sklearn.") and "warm_start" in inspect.signature(cls).parameters
        for cls in type(model).__mro__[:-1]
    )
    return "max_iter" if own and "max_iter" in params else None
