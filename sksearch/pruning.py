"""When the remaining folds of a trial are not worth running: rules made from a history, frozen.

A rule sees the scores of one trial so far, larger is better, one place a fold in the order of the
splits and nan where a fold has not been run. It is asked after each fold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, median
from typing import Protocol, TypeAlias

from sksearch.folds import FoldModel, best_outcome, outcomes_beside
from sksearch.trials import Evaluation, History, Outcome

CHANCE = 0.05
"""A trial is stopped when its chance to beat the other one by the mean over all folds falls below this."""
_LEAST_SHARE = 0.2
"""Of the folds, before the paired rule decides: one of five; a single sample left out is no normal variable."""
_QUANTILE = NormalDist().inv_cdf(CHANCE)
_ROUNDING = 1e-12
"""Relative difference of two means that rounding alone can make: far less than any two scores differ by."""


class FoldRule(Protocol):
    """Decides, from the folds seen of one trial, whether the others are to be run."""

    @property
    def model(self) -> FoldModel:
        """By which the mean of a stopped trial is adjusted."""
        ...

    def stops(self, fold_scores: Sequence[float]) -> bool:
        """Whether the trial ends here; False when all folds are there."""
        ...


RuleOf: TypeAlias = Callable[[History, Evaluation], FoldRule | None]
"""Makes the rule for an evaluation from what is known; None where nothing is to stop it, or too little is known."""


@dataclass(frozen=True, slots=True)
class PairedRule:
    """Stop a trial that will hardly beat another one, the best of the complete trials say, on the same folds.

    Notes
    -----
    With d the mean over the k folds seen of the differences to the other trial, the difference over
    all K folds is normal about d with variance 2 s2 (1/k - 1/K)
    (:class:`~sksearch.folds.FoldModel`). The trial is stopped if it is positive with a probability
    below 0.05, at each look; equal scores never stop one. The first look is after a fifth of the folds.

    Examples
    --------
    >>> rule = PairedRule(FoldModel((0.8, 0.7, 0.9), variance=1e-4), rival=(0.81, 0.72, 0.92))
    >>> rule.stops((0.80, math.nan, math.nan)), rule.stops((math.nan, 0.65, math.nan))
    (False, True)
    """

    model: FoldModel
    rival: tuple[float, ...]
    """(K,) scores of the trial to beat."""

    @classmethod
    def of(cls, history: History, evaluation: Evaluation) -> PairedRule | None:
        """To beat the complete trial with the largest mean, of several the first.

        None with fewer than three different complete trials at the evaluation's amount of resource.
        """
        known = outcomes_beside(history, evaluation)
        model, best = FoldModel.of(known), best_outcome(known)
        return None if model is None or best is None else cls(model, best.fold_scores)

    def stops(self, fold_scores: Sequence[float]) -> bool:
        """Whether the trial will hardly be better."""
        pairs = zip(fold_scores, self.rival, strict=True)
        differences = [score - other for score, other in pairs if not math.isnan(score)]
        n_seen = len(differences)
        if n_seen < _LEAST_SHARE * len(self.rival) or n_seen == len(self.rival):
            return False
        deviation = math.sqrt(2.0 * self.model.extra_variance(n_seen))
        return sum(differences) / n_seen < _QUANTILE * deviation


@dataclass(frozen=True, slots=True)
class MedianRule:
    """Stop a trial whose running mean is worse than the median of the others' at the same number of folds.

    Amazon SageMaker's early stopping ("Auto"), with folds in place of epochs. There a training job
    is stopped after an epoch if its objective is worse than the median, over the previous jobs, of
    the running average of the objective up to that epoch. A fold is no progress over the one before
    as an epoch is, so here it is the running mean of the trial that is compared; the inequality is
    strict, as in Golovin et al. (2017), section 3.2.2. Trials begin with different folds, so all
    running means are fold-adjusted (:class:`~sksearch.folds.FoldModel`). The others are the complete
    and the pruned trials that got as far, each with its first k folds; failed ones do not count.

    References
    ----------
    Amazon SageMaker Developer Guide, "Stop training jobs early".

    D. Golovin, B. Solnik, S. Moitra, G. Kochanski, J. Karro, D. Sculley (2017): Google Vizier: a service for
    black-box optimization. KDD.

    Examples
    --------
    >>> rule = MedianRule(FoldModel((0.8, 0.7, 0.9), variance=1e-4), medians=(0.80, 0.81))
    >>> rule.stops((0.79, math.nan, math.nan)), rule.stops((0.80, math.nan, math.nan))
    (True, False)
    """

    model: FoldModel
    medians: tuple[float, ...]
    """(K - 1,) of the running means over 1, 2, ... folds."""

    @classmethod
    def of(cls, history: History, evaluation: Evaluation) -> MedianRule | None:
        """None with fewer than three different complete trials at the evaluation's amount of resource."""
        known = outcomes_beside(history, evaluation)
        model = FoldModel.of(known)
        if model is None:
            return None
        usable = [outcome for outcome in known if outcome.fold_scores and outcome.status != "failed"]
        running = [_running_means(outcome, model) for outcome in usable]
        n_folds = len(model.effects)
        return cls(model, tuple(median(means[k] for means in running if len(means) > k) for k in range(n_folds - 1)))

    def stops(self, fold_scores: Sequence[float]) -> bool:
        """Whether the trial is worse than half of the others."""
        n_seen = sum(not math.isnan(score) for score in fold_scores)
        if n_seen in (0, len(fold_scores)):
            return False
        rounding = _ROUNDING * max(abs(effect) for effect in self.model.effects)
        return self.model.adjusted_mean(fold_scores) < self.medians[n_seen - 1] - rounding


class Ladder(Protocol):
    """A scheduler that promotes trials from rung to rung."""

    def rival(self, history: History, evaluation: Evaluation) -> Outcome | None:
        """Whom a trial must beat in its rung so that it may be promoted; None if nobody, or if it cannot be said."""
        ...


@dataclass(slots=True)
class SpareUnpromoted:
    """Rules for the rungs of a scheduler: a trial that will hardly be promoted is spared the folds it has not had.

    At the top, where nothing is promoted, it is a trial that will hardly be the best.
    """

    ladder: Ladder
    by_median: bool = False
    """`MedianRule`, for the same trials, instead of `PairedRule` against the one to beat."""
    _history: History | None = field(default=None, init=False, repr=False)
    _n_outcomes: int = field(default=0, init=False, repr=False)
    _models: dict[int | None, FoldModel | None] = field(default_factory=dict, init=False, repr=False)
    """By amount of resource, as of so many outcomes of that history."""

    def __call__(self, history: History, evaluation: Evaluation) -> FoldRule | None:
        """The rule as things stand."""
        rival = self.ladder.rival(history, evaluation)
        if rival is None:
            return None
        if self.by_median:
            return MedianRule.of(history, evaluation)
        model = self._model(history, evaluation)
        return None if model is None else PairedRule(model, rival.fold_scores)

    def _model(self, history: History, evaluation: Evaluation) -> FoldModel | None:
        """One for all evaluations of an amount: many are under way at once."""
        if self._history is not history or self._n_outcomes != len(history.outcomes):
            self._history, self._n_outcomes, self._models = history, len(history.outcomes), {}
        amount = evaluation.n_resources
        if amount not in self._models:
            self._models[amount] = FoldModel.of(outcomes_beside(history, evaluation))
        return self._models[amount]


def fold_order(number: int, n_folds: int) -> list[int]:
    """The order in which trial `number` runs its folds: rotated, so that all are seen about equally often.

    >>> fold_order(7, 5)
    [2, 3, 4, 0, 1]
    """
    return [(number + step) % n_folds for step in range(n_folds)]


def _running_means(outcome: Outcome, model: FoldModel) -> list[float]:
    """Fold-adjusted means over the first 1, 2, ... folds that the trial has."""
    above, usual = 0.0, sum(model.effects) / len(model.effects)
    means: list[float] = []
    for fold in fold_order(outcome.evaluation.trial.number, len(model.effects)):
        if not math.isnan(outcome.fold_scores[fold]):
            above += outcome.fold_scores[fold] - model.effects[fold]
            means.append(above / (len(means) + 1) + usual)
    return means
