"""One job -> one score: what a worker does, with scikit-learn's exact semantics.

`Evaluator` is the picklable callable that `execution.JobPool` sends to its workers: it holds the
data and everything that is the same for all fits of a search. A fit that does not grow is
scikit-learn's own `_fit_and_score`; a growing one trains the difference to a paused model.
"""

from __future__ import annotations

import logging
import numbers
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from sksearch._sklearn import (
    HAS_CALLBACKS,
    check_method_params,
    fit_and_score,
    fit_task,
    safe_split,
    score,
    scorers_by_name,
    take_callbacks,
    without_callbacks,
)
from sksearch.resources import Fold, Growth
from sksearch.trials import FailedScore, Job, Params, Scores

if TYPE_CHECKING:
    from sksearch.spool import Spool

_logger = logging.getLogger("sksearch")

_warned: set[str] = set()
"""Searches, by the folder of their models, of which this process has said that models are not kept."""

Split: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Row numbers of the training and the test part of a fold."""


class Task(NamedTuple):
    """A job as it travels to a worker: nothing but what the worker needs."""

    number: int
    params: Params
    fold: int
    n_resources: int | None
    context: Any
    """scikit-learn's callback context of this fit, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """How the fits of a search grow, and where models wait between rungs."""

    growth: Growth
    max_resources: int
    spool: Spool
    groups: Any
    """For samples of rows that keep groups together."""
    classes: NDArray[Any] | tuple[NDArray[Any], ...] | None
    """All labels of y, for `partial_fit`, of several targets one array for each; None for anything but a classifier."""
    entropy: int

    def unfinished(self, n_resources: int) -> bool:
        """Whether a model that asks for more iterations gets them if it is promoted."""
        return self.growth.resource.rpartition("__")[2] == "max_iter" and n_resources < self.max_resources

    def resume(self, task: Task) -> tuple[Any, int]:
        """The model that was kept, and its units of resource; (None, 0) where there is none that can be read."""
        if not self.growth.resumes:
            return None, 0
        try:
            return self.spool.load(task.number, task.fold)
        except Exception as error:  # noqa: BLE001 - whatever the model's own unpickling raises
            self._warn(task, error)
            return None, 0

    def pause(self, task: Task, model: Any) -> None:
        """Keep a model that may go on; drop what was kept of one that will not.

        A model that cannot be kept (no pickle of it, no room) is trained anew if it is promoted.
        """
        if not self.growth.resumes:
            return
        try:
            if task.n_resources is not None and task.n_resources < self.max_resources:
                self.spool.save(task.number, task.fold, model, task.n_resources)
                return
        except Exception as error:  # noqa: BLE001 - whatever the model's own pickling raises
            self.spool.discard(task.number, task.fold)
            self._warn(task, error)
            return
        self.spool.discard(task.number, task.fold)

    def _warn(self, task: Task, error: Exception) -> None:
        """Once a process: warning filters alone would let each fit of a search say it."""
        _logger.debug("trial %d, fold %d: the model was not kept: %r", task.number, task.fold, error)
        if self.spool.folder in _warned:
            return
        _warned.add(self.spool.folder)
        warnings.warn(
            "A paused model could not be stored and read again, so it is trained anew if it is promoted, and the "
            "search may take n_trials times n_resources of each line of plan(); see that it can be pickled, and that "
            f"there is room for it. {type(error).__name__}: {error}",
            RuntimeWarning,
            stacklevel=3,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluator:
    """Fits and scores jobs of one search."""

    estimator: Any
    X: Any
    y: Any
    splits: Sequence[Split]
    scorer: Any
    fit_params: Mapping[str, Any]
    score_params: Mapping[str, Any]
    return_train_score: bool
    error_score: float | str
    verbose: int
    n_candidates: int | None = None
    """For progress messages; None when it is not known beforehand."""
    caller: Any = None
    """The search, for callbacks."""
    growing: Growing | None = None

    def task(self, job: Job, context: Any = None) -> Task:
        """What travels to a worker for `job`."""
        evaluation = job.evaluation
        return Task(evaluation.trial.number, evaluation.trial.params, job.fold, evaluation.n_resources, context)

    def __call__(self, tasks: Sequence[Task]) -> list[dict[str, Any]]:
        """The fields of a `FoldScore`, for each task."""
        if self.growing is None:
            return [self._fit_and_score(task) for task in tasks]
        return [self._grow_and_score(task, self.growing) for task in tasks]

    @property
    def _marked_error_score(self) -> FailedScore | str:
        """A scorer that raises leaves no trace but this: scikit-learn puts `error_score` in place of its result."""
        return self.error_score if isinstance(self.error_score, str) else FailedScore(self.error_score)

    def _fit_and_score(self, task: Task) -> dict[str, Any]:
        train, test = self.splits[task.fold]
        callbacks = {"caller": self.caller, "callback_ctx": task.context} if HAS_CALLBACKS else {}
        result = fit_and_score(
            clone(self.estimator),
            self.X,
            self.y,
            scorer=self.scorer,
            train=train,
            test=test,
            verbose=self.verbose,
            parameters=task.params,
            fit_params=self.fit_params,
            score_params=self.score_params,
            return_train_score=self.return_train_score,
            return_n_test_samples=True,
            return_times=True,
            split_progress=(task.fold, len(self.splits)),
            candidate_progress=None if self.n_candidates is None else (task.number, self.n_candidates),
            error_score=self._marked_error_score,
            **callbacks,
        )
        result["error"] = result.pop("fit_error")
        return result  # type: ignore[no-any-return]  # sklearn is untyped

    def _grow_and_score(self, task: Task, growing: Growing) -> dict[str, Any]:
        """As `_fit_and_score`, for a model that may have been trained for some of its resource already."""
        if task.n_resources is None:
            raise ValueError("a growing search must say how much resource an evaluation gets.")
        train, test = (_numbers(part) for part in self.splits[task.fold])
        seed = (growing.entropy, task.fold)
        rows = growing.growth.rows(train, self.y, growing.groups, n_resources=task.n_resources, seed=seed)
        fit_params = check_method_params(self.X, params=self.fit_params, indices=rows)
        model, trained = growing.resume(task)
        if model is None or trained > task.n_resources:  # left over
            model, trained = self._unfitted(task), 0
        elif task.context is not None:
            take_callbacks(model, self._unfitted(task))
        X_train, y_train = safe_split(model, self.X, self.y, rows)
        X_test, y_test = safe_split(model, self.X, self.y, test, rows)
        result: dict[str, Any] = {"error": None, "n_test_samples": len(test), "score_time": 0.0}
        start = time.time()
        try:
            with fit_task(task.context, self.caller, model, X_train, y_train, fit_params):
                whole = tuple(value for name, value in fit_params.items() if value is self.fit_params[name])
                unfinished = growing.unfinished(task.n_resources)
                fold = Fold(X_train, y_train, fit_params, seed, growing.classes, whole, unfinished)
                if trained < task.n_resources:  # else kept by a run of this job that was lost before it came back
                    model = growing.growth.fit(model, fold, n_resources=task.n_resources, trained=trained)
        except Exception:
            if self.error_score == "raise":
                raise
            result.update(self.failure(traceback.format_exc()), fit_time=time.time() - start)
        else:
            result["fit_time"] = time.time() - start
            with nullcontext() if task.context is None else without_callbacks(model):
                growing.pause(task, model)  # before it predicts: some draw or count as they do
            start = time.time()
            result["test_scores"] = self._score(model, X_test, y_test, test)
            result["score_time"] = time.time() - start
            if self.return_train_score:
                result["train_scores"] = self._score(model, X_train, y_train, rows)
        self._report(task, result)
        return result

    def _unfitted(self, task: Task) -> Any:
        return clone(self.estimator).set_params(**clone(task.params, safe=False))

    def _score(self, model: Any, X: Any, y: Any, rows: NDArray[np.intp]) -> Scores:
        params = check_method_params(self.X, params=self.score_params, indices=rows)
        return score(model, X, y, self.scorer, params, self._marked_error_score)  # type: ignore[no-any-return]  # sklearn is untyped

    def failure(self, error: str) -> dict[str, Any]:
        """The fields of a `FoldScore` for a fit that came to nothing, with `error_score` in the scorer's shape.

        Raises
        ------
        RuntimeError
            If `error_score` is 'raise'.
        """
        if self.error_score == "raise":
            raise RuntimeError(error)
        named = scorers_by_name(self.scorer)
        value = self._marked_error_score
        scores = [value if named is None else dict.fromkeys(named, value) for _ in range(2)]
        return {
            "test_scores": scores[0],
            "train_scores": scores[1] if self.return_train_score else None,
            "fit_time": 0.0,
            "score_time": 0.0,
            "error": error,
        }

    def _report(self, task: Task, result: Mapping[str, Any]) -> None:
        """One line a fit for `verbose` > 1, like scikit-learn's, with the resource."""
        if self.verbose <= 1:
            return
        told = ", ".join(f"{name}={task.params[name]}" for name in sorted(task.params))
        scores = result["test_scores"]
        shown = scores if isinstance(scores, Mapping) else {"score": scores}
        values = ", ".join(f"{name}={value:.3f}" for name, value in shown.items() if isinstance(value, numbers.Real))
        seconds = result["fit_time"] + result["score_time"]
        print(  # noqa: T201 - what `verbose` asks for
            f"[CV {task.fold + 1}/{len(self.splits)}] END {told}; n_resources={task.n_resources}, {values}"
            f" total time={seconds:6.1f}s"
        )


def _numbers(part: Any) -> NDArray[np.intp]:
    """One part of a split as row numbers: a splitter may give masks."""
    rows = np.asarray(part)
    return np.flatnonzero(rows) if rows.dtype == bool else rows
