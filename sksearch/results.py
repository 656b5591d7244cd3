"""History -> what a fitted search shows: the rows of `cv_results_`, ranks, `history_`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sksearch.trials import FoldScore, History, Outcome


def last_outcomes(history: History) -> list[Outcome]:
    """The last outcome of every trial that has one, by trial number: the rows of `cv_results_`."""
    last: dict[int, Outcome] = {}
    for outcome in history.outcomes:
        last[outcome.evaluation.trial.number] = outcome
    return [last[number] for number in sorted(last)]


def scikit_learn_records(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """What scikit-learn's `_fit_and_score` would have returned, row by row and fold by fold."""
    return [_record(fold) for outcome in outcomes for fold in outcome.folds]


def _record(fold: FoldScore) -> dict[str, Any]:
    record = {
        "fit_error": fold.error,
        "test_scores": fold.test_scores,
        "n_test_samples": fold.n_test_samples,
        "fit_time": fold.fit_time,
        "score_time": fold.score_time,
    }
    if fold.train_scores is not None:
        record["train_scores"] = fold.train_scores
    return record


def trial_columns(outcomes: Sequence[Outcome]) -> dict[str, list[Any]]:
    """The columns beyond scikit-learn's that adaptive searches show for each row."""
    return {
        "status": [outcome.status for outcome in outcomes],
        "n_splits_done": [len(outcome.folds) for outcome in outcomes],
        "start_time": [outcome.start_time for outcome in outcomes],
        "end_time": [outcome.end_time for outcome in outcomes],
    }


def ranks(outcomes: Sequence[Outcome], scores: NDArray[np.float64], reached: Sequence[int]) -> NDArray[np.int32]:
    """Rank of each row, 1 is best: failed trials last, then fewer resources, then lower scores; ties share a rank.

    Parameters
    ----------
    outcomes : sequence of Outcome, length n
        One for each row.
    scores : array of shape (n,)
        Mean test scores of the metric to rank by.
    reached : sequence of int, length n
        What more is better of, before scores count: units of resource. All equal where nothing grows.

    Returns
    -------
    array of shape (n,)

    Examples
    --------
    >>> from sksearch.trials import Evaluation, Trial
    >>> rows = [Outcome(evaluation=Evaluation(Trial(i, {})), folds=(), score=s) for i, s in enumerate([0.5, 0.9, 0.7])]
    >>> ranks(rows, np.array([0.5, 0.9, 0.7]), [9, 3, 9])
    array([2, 3, 1], dtype=int32)
    """
    worst = (False, 0, 0.0)
    keys = [
        (True, amount, float(score)) if outcome.status == "ok" and math.isfinite(score) else worst
        for outcome, score, amount in zip(outcomes, scores, reached, strict=True)
    ]
    rank_of: dict[tuple[bool, int, float], int] = {}
    for rank, key in enumerate(sorted(keys, reverse=True), start=1):
        rank_of.setdefault(key, rank)
    return np.array([rank_of[key] for key in keys], dtype=np.int32)


def as_records(history: History) -> list[dict[str, Any]]:
    """Every evaluation in order of completion, one flat dict each."""
    return [
        {
            "trial": outcome.evaluation.trial.number,
            "n_resources": outcome.evaluation.n_resources,
            "rung": outcome.evaluation.rung,
            "bracket": outcome.evaluation.bracket,
            "status": outcome.status,
            "score": outcome.score,
            "n_splits_done": len(outcome.folds),
            "fit_time": sum(fold.fit_time for fold in outcome.folds),
            "score_time": sum(fold.score_time for fold in outcome.folds),
            "start_time": outcome.start_time,
            "end_time": outcome.end_time,
            **{f"param_{name}": value for name, value in outcome.evaluation.trial.params.items()},
        }
        for outcome in sorted(history.outcomes, key=lambda outcome: outcome.end_time)
    ]
