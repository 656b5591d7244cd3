"""One evaluation between ask and tell: which folds are out, which are back, and what they decide."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from sksearch.folds import FoldModel
from sksearch.pruning import FoldRule, fold_order
from sksearch.trials import Evaluation, FoldScore, Job, Outcome


class UnderWay:
    """The folds of one evaluation, from the first that is sent until the outcome is decided.

    Parameters
    ----------
    evaluation : Evaluation
    n_folds : int
    rule : callable, default=None
        The rule that may stop the evaluation, as things stand; it returns None where nothing can stop it yet.
        None: all folds are run, in the order of the splits.
    in_order : bool, default=False
        Whether folds count in the order in which they are sent, whenever they come back: then what is decided does
        not depend on timing. Otherwise each counts when it is back.

    Examples
    --------
    >>> from sksearch.trials import Trial
    >>> trial = UnderWay(Evaluation(Trial(0, {})), 2)
    >>> [job.fold for job in trial.take(2)]
    [0, 1]
    >>> for job in trial.sent:
    ...     trial.collect(FoldScore(job=job, test_scores=0.5, fit_time=0.1, score_time=0.0), 0.5)
    >>> trial.decided, trial.outcome(0.0).score
    (True, 0.5)
    """

    def __init__(
        self,
        evaluation: Evaluation,
        n_folds: int,
        rule: Callable[[], FoldRule | None] | None = None,
        *,
        in_order: bool = False,
    ) -> None:
        self.evaluation = evaluation
        self.start_time = math.inf
        """When its first fold was sent; infinite before."""
        self.sent: list[Job] = []
        self.decided = False
        order = range(n_folds) if rule is None else fold_order(evaluation.trial.number, n_folds)
        self._unsent = deque(Job(evaluation, fold) for fold in order)
        self._rule = rule
        self._in_order = in_order
        self._sent_as: dict[int, Job] = {}
        self._back: dict[int, tuple[FoldScore, float]] = {}
        self._counted: list[FoldScore] = []
        self._scores = [math.nan] * n_folds
        self._stopped_by: FoldModel | None = None

    def take(self, most: int) -> list[Job]:
        """The next jobs to send, `most` at most."""
        jobs = [self._unsent.popleft() for _ in range(min(most, len(self._unsent)))]
        self.sent += jobs
        self._sent_as.update((job.fold, job) for job in jobs)
        return jobs

    @property
    def waits(self) -> bool:
        """Whether there are folds to send."""
        return bool(self._unsent)

    @property
    def running(self) -> bool:
        """Whether a fold is sent and not back."""
        return len(self.sent) > len(self._counted) + len(self._back)

    @property
    def certain(self) -> bool:
        """Whether no rule can make the next fold superfluous."""
        return self._rule is None or self._rule() is None

    def collect(self, score: FoldScore, value: float) -> None:
        """Take in a fold, the objective of which is `value`: nan or infinite where it failed.

        One of another job, though it be equal, is left over from an earlier evaluation and does not count.
        """
        if self._sent_as.get(score.job.fold) is not score.job:
            return
        self._back[score.job.fold] = (score, value if math.isfinite(value) else math.nan)
        while self._back and not self.decided:
            fold = self.sent[len(self._counted)].fold if self._in_order else next(iter(self._back))
            if fold not in self._back:
                return
            self._count(fold, *self._back.pop(fold))

    def _count(self, fold: int, score: FoldScore, value: float) -> None:
        self._scores[fold] = value
        self._counted.append(score)
        self.decided = len(self._counted) == len(self._scores)
        if self.decided or self._rule is None:
            return
        if math.isnan(value):
            self.decided = True
        elif (rule := self._rule()) is not None and rule.stops(self._scores):
            self.decided, self._stopped_by = True, rule.model

    def outcome(self, end_time: float) -> Outcome:
        """What is decided: of the folds that counted, whatever else is back or still running."""
        if self._stopped_by is not None:
            score = self._stopped_by.adjusted_mean(self._scores)
        else:
            score = sum(self._scores) / len(self._scores)
        return Outcome(
            evaluation=self.evaluation,
            folds=tuple(sorted(self._counted, key=lambda fold: fold.job.fold)),
            score=score if math.isfinite(score) else math.nan,
            fold_scores=tuple(self._scores),
            start_time=self.start_time,
            end_time=end_time,
        )
