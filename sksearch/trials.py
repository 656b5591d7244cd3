"""The vocabulary of a search, and its whole state: the append-only `History`.

A *trial* is one point of the search space. An *evaluation* is a trial at one amount of resource,
cross-validated by one *job* per fold; each job ends in a `FoldScore`, all folds of an evaluation
in one `Outcome`. Scores are larger-is-better everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Params: TypeAlias = dict[str, Any]
"""Keyword arguments for `estimator.set_params`."""

Scores: TypeAlias = float | dict[str, float]
"""What a scorer returned: one number, or one per metric name."""


class FailedScore(float):
    """`error_score`, where it stands in place of a score: a number like any other, but never a good one."""


Status: TypeAlias = Literal["ok", "pruned", "failed"]
"""`failed`: a fold raised, or its score of the refit metric is nan or infinite; `pruned`: stopped before all folds."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the search space under evaluation."""

    number: int
    """Position in the order of asking, from 0; the trial's identity."""
    params: Params = field(compare=False)
    """Parameters to set on a clone of the searched estimator."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A trial at one amount of resource."""

    trial: Trial
    n_resources: int | None = None
    """Units of the resource (passes, trees, rows); None where nothing grows."""
    rung: int = 0
    """Position of `n_resources` among the levels of the bracket, from 0."""
    bracket: int = 0
    """Number of the bracket in which it runs, from 0."""


@dataclass(frozen=True, slots=True)
class Job:
    """One fold of one evaluation: the smallest piece of work."""

    evaluation: Evaluation
    fold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldScore:
    """What came of one job; a failure is a value here, not an exception."""

    job: Job
    test_scores: Scores
    train_scores: Scores | None = None
    """None unless the search has `return_train_score=True`."""
    fit_time: float
    """Seconds."""
    score_time: float
    """Seconds."""
    n_test_samples: int = 0
    error: str | None = None
    """Traceback of the failed fit, None when it succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All folds of one evaluation, or those that were run before it was stopped.

    >>> trial = Evaluation(Trial(0, {}))
    >>> Outcome(evaluation=trial, folds=(), score=0.8, fold_scores=(0.7, math.nan)).status
    'pruned'
    """

    evaluation: Evaluation
    folds: tuple[FoldScore, ...]
    """In the order of the splits; only those that were run."""
    score: float
    """Mean of the refit metric over the folds, of a pruned trial the fold-adjusted mean; nan when the trial failed."""
    fold_scores: tuple[float, ...] = ()
    """Refit metric of every fold, in the order of the splits; nan where a fold failed or was not run."""
    start_time: float = math.nan
    """When its first fold was sent to the workers, in seconds since the search began."""
    end_time: float = math.nan
    """When its last fold came back, in seconds since the search began."""

    status: Status = field(init=False)
    """Whether the score can be compared with others, and rests on all folds."""

    def __post_init__(self) -> None:
        unseen = any(map(math.isnan, self.fold_scores))
        status = "failed" if not math.isfinite(self.score) else "pruned" if unseen else "ok"
        object.__setattr__(self, "status", status)  # asked for very often


class History:
    """Everything decided and everything observed, in order: the state of a search.

    Samplers and schedulers are functions of it. It only grows: `asked` when an evaluation is
    decided, `told` when its outcome is delivered; what was asked and not told is `pending`.

    >>> history = History()
    >>> evaluation = Evaluation(Trial(0, {"C": 1.0}))
    >>> history.asked(evaluation)
    >>> [pending.trial.number for pending in history.pending]
    [0]
    >>> history.told(Outcome(evaluation=evaluation, folds=(), score=0.9))
    >>> len(history.pending), len(history.outcomes)
    (0, 1)
    """

    def __init__(self) -> None:
        self._trials: list[Trial] = []
        self._evaluations: list[Evaluation] = []
        self._outcomes: list[Outcome] = []
        self._pending: dict[Evaluation, None] = {}

    def asked(self, evaluation: Evaluation) -> None:
        """Record a decision: `evaluation` is to be run.

        Raises
        ------
        ValueError
            If its trial is new and not numbered next, or if it is pending already.
        """
        number = evaluation.trial.number
        if number > len(self._trials):
            raise ValueError(f"trial {number} was asked before trial {len(self._trials)}; number trials in order.")
        if evaluation in self._pending:
            raise ValueError(f"{evaluation} is pending already; wait for its outcome.")
        if number == len(self._trials):
            self._trials.append(evaluation.trial)
        self._evaluations.append(evaluation)
        self._pending[evaluation] = None

    def told(self, outcome: Outcome) -> None:
        """Record the outcome of a pending evaluation.

        Raises
        ------
        ValueError
            If its evaluation is not pending.
        """
        if outcome.evaluation not in self._pending:
            raise ValueError(f"{outcome.evaluation} is not pending; ask before telling.")
        del self._pending[outcome.evaluation]
        self._outcomes.append(outcome)

    def with_outcomes(self, outcomes: Sequence[Outcome]) -> History:
        """The same decisions, and of what was observed only `outcomes`; to be read, not added to."""
        history = History()
        history._trials, history._evaluations, history._pending = self._trials, self._evaluations, self._pending
        history._outcomes = list(outcomes)
        return history

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, in the order of asking: `trials[i].number == i`."""
        return self._trials

    @property
    def evaluations(self) -> Sequence[Evaluation]:
        """All evaluations asked, in order."""
        return self._evaluations

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """All outcomes, in the order of delivery."""
        return self._outcomes

    @property
    def pending(self) -> Sequence[Evaluation]:
        """Evaluations asked and not yet told, in the order of asking."""
        return list(self._pending)
