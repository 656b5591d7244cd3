"""Sizes that warm starts of scikit-learn's estimators grow: which parameter, what it counts, when it goes on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from sksearch.resources.laststep import enter, fit, grows_by_itself, with_last
from sksearch.resources.overrides import overrides_fit
from sksearch.resources.protocol import Fold, Rows, Seed
from sksearch.resources.quiet import ignored
from sksearch.resources.refits import Refit

_LOOK_BACK = {"coef_init", "intercept_init", "monitor"}
"""Fit parameters with which a model is fitted anew.

SGD would start from the former again at every warm start; what a monitor of GradientBoosting has stopped would get one
more tree at each.
"""
_CONVERGED = "_converged_while_growing"
"""Attribute of a paused model that has come to its tolerance."""
_HIST = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
_BOOSTING = (GradientBoostingClassifier, GradientBoostingRegressor)
_BAGGING = (BaggingClassifier, BaggingRegressor)
_MIXTURES = (GaussianMixture, BayesianGaussianMixture)


@dataclass(frozen=True, slots=True)
class WarmStart:
    """A size parameter that an estimator with `warm_start` grows: `n_estimators` or `max_iter`.

    `warm_start` is true during a continued fit only, and the parameter says the full size after it:
    the result looks like an estimator fitted at once.

    Notes
    -----
    Measured with scikit-learn 1.6.0 and 1.9.1: `n_estimators`, and `max_iter` of
    HistGradientBoosting, count the members in all; any other `max_iter` counts the iterations of one
    call of `fit` (scikit-learn issue 25522). The former equal a fit at once bit for bit with an int
    `random_state`. The latter restart the solver from the coefficients: cyclic coordinate descent and
    mixtures do not mind (equal to rounding); SGD, MLP, LogisticRegression and Huber lose their step
    sizes or curvature and come to the same solution by another way, and so does coordinate descent
    that draws the coordinate.

    Where going on is refused (Bagging with out-of-bag scores), forgets what early stopping had seen
    (GradientBoosting with `n_iter_no_change` or a `monitor`), or has one start left of several (mixtures with
    `n_init`), the model is fitted anew at the larger size.
    """

    resource: str
    max_resources: int
    """No model goes on after this size."""
    resumes: bool = True

    def fit(self, estimator: Any, fold: Fold, *, n_resources: int, trained: int) -> Any:
        """Grow from size `trained` to size `n_resources`."""
        if not grows_by_itself(
            estimator, self.resource
        ):  # a step that is searched: this trial has it within another model
            return Refit(self.resource).fit(clone(estimator), fold, n_resources=n_resources, trained=0)
        name = self.resource.rpartition("__")[2]
        pause = n_resources < self.max_resources
        model, caught = enter(estimator, fold, trained=trained, pause=pause)
        if trained and size_parameter(model) != name:  # of its own kind: once fitted it may refuse to be changed
            model = clone(model)
            estimator = with_last(estimator, model)
        elif trained and is_finished(model):
            if not pause:
                vars(model).pop(_CONVERGED, None)
            return estimator.set_params(**{self.resource: n_resources})
        going_on = bool(trained) and goes_on(model, name) and not _LOOK_BACK & caught.fit_params.keys()
        size = n_resources - trained if going_on and not counts_total(model, name) else n_resources
        usual = {key: value for key, value in model.get_params(deep=False).items() if key == "warm_start"}
        model.set_params(**dict.fromkeys(usual, going_on), **{name: size})
        with _quiet(model, going_on=going_on, pause=pause):
            fit(model, caught)
        if pause and size_parameter(model) == name and not counts_total(model, name) and converged(model, size):
            vars(model)[_CONVERGED] = True
        if usual:
            model.set_params(**usual, **{name: n_resources})
        return estimator

    def rows(self, train: Rows, y: Any, groups: Any, *, n_resources: int, seed: Seed) -> Rows:  # noqa: ARG002
        """All rows."""
        return train


def counts_total(model: Any, name: str) -> bool:
    """Whether the size parameter counts members in all, or the iterations of one fit."""
    return name == "n_estimators" or isinstance(model, _HIST)


@contextmanager
def _quiet(model: Any, *, going_on: bool, pause: bool) -> Iterator[None]:
    """Without warnings of what is no matter here."""
    with ExitStack() as stack:
        if going_on:  # forests warn that balanced weights are others if the data are: these are the same
            stack.enter_context(ignored(UserWarning, 'class_weight presets "balanced"'))
        if pause:  # of few members: more will come
            stack.enter_context(ignored(UserWarning, "Some inputs do not have OOB scores"))
            if isinstance(model, _BAGGING):
                stack.enter_context(ignored(RuntimeWarning, "invalid value encountered in (true_)?divide"))
        yield


def is_finished(model: Any) -> bool:
    """Whether its last fit came to an end by itself, as a fit with more to come would have at the same place."""
    return _CONVERGED in vars(model) or (not overrides_fit(model) and stopped_early(model))


def converged(model: Any, max_iter: int) -> bool:
    """Whether a fit with so many iterations at most came to its tolerance.

    >>> converged(LogisticRegression(max_iter=100).fit([[0], [1], [2]], [0, 0, 1]), 100)
    True
    """
    if overrides_fit(model) or (isinstance(model, _MIXTURES) and model.n_init > 1):  # another start may become best
        return False
    n_iter = getattr(model, "n_iter_", None)
    return bool(getattr(model, "converged_", False)) or (n_iter is not None and bool(np.max(n_iter) < max_iter))


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
    draws_again = any(cls.__module__ == "imblearn.ensemble._forest" for cls in type(model).__mro__)
    if size_parameter(model) != name or overrides_fit(model) or draws_again:
        return False  # a fit of its own: it may fit twice, have a monitor look on, or change what it has
    if isinstance(model, _BAGGING):
        return not model.oob_score  # refused with warm_start
    if isinstance(model, _BOOSTING):
        return model.n_iter_no_change is None  # what it has seen so far is forgotten
    if isinstance(model, LogisticRegression):
        return bool(model.solver != "liblinear")  # starts from nothing
    if isinstance(model, _MIXTURES):
        return bool(model.n_init == 1)  # the best of several starts so far need not be the best in the end
    return True


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
