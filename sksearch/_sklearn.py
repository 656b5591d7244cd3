"""The only contact with scikit-learn's private names, and the only place that asks for its version."""

from __future__ import annotations

import copy
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sklearn
from sklearn.base import BaseEstimator, _fit_context
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _fit_and_score,
    _score,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.fixes import parse_version
from sklearn.utils.metadata_routing import _routing_enabled
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import delayed
from sklearn.utils.validation import _check_method_params

__all__ = [
    "RETURN",
    "SEARCH_CONSTRAINTS",
    "BaseSearchCV",
    "CallerSettings",
    "HasMethods",
    "Interval",
    "SearchTasks",
    "StrOptions",
    "check_method_params",
    "fit_and_score",
    "fit_context",
    "fit_of",
    "raise_or_warn_about_failures",
    "routing_enabled",
    "safe_indexing",
    "safe_split",
    "score",
    "scorers_by_name",
    "take_callbacks",
    "without_callbacks",
]

HAS_CALLBACKS = parse_version(parse_version(sklearn.__version__).base_version) >= parse_version("1.9")

check_method_params = _check_method_params
fit_and_score = _fit_and_score
fit_context = _fit_context
raise_or_warn_about_failures = _warn_or_raise_about_fit_failures
routing_enabled = _routing_enabled
safe_indexing = _safe_indexing
safe_split = _safe_split
score = _score

RETURN = "return" if HAS_CALLBACKS else "returned"
"""How scikit-learn puts it where splits and their announced number differ."""

SEARCH_CONSTRAINTS: dict[str, Any] = BaseSearchCV._parameter_constraints
"""What scikit-learn checks of the parameters that all searches share."""


def scorers_by_name(scorer: Any) -> dict[str, Any] | None:
    """The scorers of a search with several metrics; None with one, or where a callable returns several."""
    return scorer._scorers if isinstance(scorer, _MultimetricScorer) else None


def fit_of(search: Any, base: Any) -> Callable[..., Any] | None:
    """scikit-learn's own `fit`, where somebody counts on it; None where ours can take its place.

    A subclass with a `_run_search` of its own is one. Autologging of MLflow and of W&B is the other:
    it puts a `fit` onto scikit-learn's class, around the inherited one. The results are the same.
    """
    if type(search)._run_search is not base._run_search:
        return BaseSearchCV.fit  # type: ignore[no-any-return]  # as above
    return vars(base).get("fit")  # type: ignore[no-any-return]  # as above


class CallerSettings:
    """`function` under scikit-learn's configuration (and Python's warning filters) of the thread that made this.

    As `sklearn.utils.parallel` does; plain joblib loses both. Other threads of the same process get
    the configuration alone: the filters are theirs already, and setting them there would be a race.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._config = sklearn.get_config()
        self._home = (os.getpid(), threading.get_ident())
        wrapped, _, _ = delayed(function)()
        if hasattr(wrapped, "with_config_and_warning_filters"):
            self._elsewhere = wrapped.with_config_and_warning_filters(self._config, list(warnings.filters))
        else:  # scikit-learn before 1.7
            self._elsewhere = wrapped.with_config(self._config)

    def __call__(self, *args: Any) -> Any:
        """Call the function."""
        process, thread = self._home
        if os.getpid() != process:
            return self._elsewhere(*args)
        if threading.get_ident() == thread:
            return self._function(*args)
        with sklearn.config_context(**self._config):
            return self._function(*args)


class SearchTasks:
    """The tree of tasks a search reports to scikit-learn's callbacks (1.9 and later).

    The same tree as GridSearchCV's: fit > search > candidate-split-evaluation, then
    fit > refit-with-best-params. Contexts for single fits are made only if a callback listens.
    """

    def __init__(self, search: Any, X: Any, y: Any, sample_weight: Any) -> None:
        self._search = search
        self._data = {"X": X, "y": y, "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}
        self._root: Any = None
        self._fits: Any = None
        if HAS_CALLBACKS:
            self._root = search._init_callback_context(max_subtasks=1 + (search.refit is not False))
            self._root.call_on_fit_task_begin(estimator=search, **self._data)

    def begin_search(self, max_fits: int | None, *values: Any) -> None:
        """Open the task "search"; `values` are what the searched parameters may be set to."""
        if self._root is None:
            return
        fits = self._root.subcontext(task_name="search", max_subtasks=max_fits, sequential_subtasks=False)
        fits.call_on_fit_task_begin(estimator=self._search)
        self._search_context = fits
        if _callback_listens(self._search, *values):
            self._fits = fits

    def fit_context(self, task_id: int, *, detached: bool) -> Any:
        """The context of one fit, or None when no callback listens.

        `detached`: a copy that holds the path to the root and no siblings, so that it is small to
        pickle and does not change while it is pickled.
        """
        if self._fits is None:
            return None
        context = self._fits.subcontext(task_name="candidate-split-evaluation", task_id=task_id)
        return _path_copy(context) if detached else context

    @property
    def listening(self) -> bool:
        """Whether a callback hears of single fits."""
        return self._fits is not None

    def end_search(self) -> None:
        """Close the task "search"."""
        if self._root is not None:
            self._search_context.call_on_fit_task_end(estimator=self._search)

    @contextmanager
    def refit(self, estimator: Any) -> Iterator[None]:
        """Surround the refit of `estimator`."""
        if self._root is None:
            yield
            return
        context = self._root.subcontext(task_name="refit-with-best-params")
        with context.propagate_callback_context(estimator):
            context.call_on_fit_task_begin(estimator=self._search, **self._data)
            yield
        context.call_on_fit_task_end(estimator=self._search, **self._data)

    def end(self) -> None:
        """Close the task "fit"."""
        if self._root is not None:
            self._root.call_on_fit_task_end(estimator=self._search, **self._data)


@contextmanager
def fit_task(
    context: Any, search: Any, estimator: Any, X: Any, y: Any, fit_params: Mapping[str, Any]
) -> Iterator[None]:
    """Surround one fit of `estimator` with its callbacks, as scikit-learn's `_fit_and_score` does."""
    if context is None:
        yield
        return
    sample_weight = fit_params.get("sample_weight")
    data = {"X": X, "y": y, "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}
    try:
        with context.propagate_callback_context(estimator):
            context.call_on_fit_task_begin(estimator=search, **data)
            yield
    finally:
        context.call_on_fit_task_end(estimator=search, **data)


@contextmanager
def without_callbacks(estimator: Any) -> Iterator[None]:
    """Within the block the estimator and what is nested in it have no callbacks: a pickle would have copies of them."""
    parts = [(part, part.__dict__.pop("_skl_callbacks")) for part, _ in _with_callbacks(estimator).values()]
    try:
        yield
    finally:
        for part, callbacks in parts:
            part._skl_callbacks = callbacks


def take_callbacks(estimator: Any, other: Any) -> None:
    """Have `estimator`, and what is nested in it, report to the callbacks that `other` has there."""
    parts = _parts(estimator)
    for name, (_, callbacks) in _with_callbacks(other).items():
        if name in parts:
            parts[name]._skl_callbacks = callbacks


def _with_callbacks(estimator: Any) -> dict[str, tuple[Any, list[Any]]]:
    """By name as `set_params` knows it, "" for the estimator itself: what has callbacks, and which."""
    found: dict[int, tuple[str, Any, list[Any]]] = {}  # a part may have two names
    for name, part in _parts(estimator).items():  # in its own dict: wrappers hand attributes on
        if callbacks := getattr(part, "__dict__", {}).get("_skl_callbacks"):
            found.setdefault(id(part), (name, part, callbacks))
    return {name: (part, callbacks) for name, part, callbacks in found.values()}


def _parts(estimator: Any) -> dict[str, Any]:
    return {"": estimator, **(estimator.get_params() if hasattr(estimator, "get_params") else {})}


def _callback_listens(*values: Any) -> bool:
    """Whether an estimator among `values` (or nested in one, or in a container of them) holds callbacks."""
    for value in values:
        if isinstance(value, (list, tuple)):
            if _callback_listens(*value):
                return True
        elif isinstance(value, Mapping):
            if _callback_listens(*value.values()):
                return True
        elif getattr(value, "_skl_callbacks", None):
            return True
        elif isinstance(value, BaseEstimator) or (hasattr(value, "get_params") and not isinstance(value, type)):
            nested = value.get_params(deep=False)
            if _callback_listens(*nested.values()):
                return True
    return False


def _path_copy(context: Any) -> Any:
    """`context` with its ancestors, each without its other children."""
    twin = copy.copy(context)
    twin._children_map = {}
    if context.parent is not None:
        parent = _path_copy(context.parent)
        parent._children_map = {twin.task_id: twin}
        twin.parent = parent
    return twin
