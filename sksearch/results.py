"""History -> what a fitted search shows: the rows of `cv_results_`, ranks, `history_`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sksearch.folds import by_amount
from sksearch.trials import FailedScore, FoldScore, History, Outcome


def last_outcomes(history: History, *, resumes: bool = False) -> list[Outcome]:
    """The last outcome of every trial that has one, by trial number: the rows of `cv_results_`.

    `resumes`: models go on from rung to rung, so a fold took as long to fit as all of its fits took together.
    """
    last: dict[int, Outcome] = {}
    seconds: dict[tuple[int, int], float] = defaultdict(float)
    for outcome in history.outcomes:
        number = outcome.evaluation.trial.number
        for fold in outcome.folds if resumes else ():
            seconds[number, fold.job.fold] += fold.fit_time
        last[number] = outcome
    if resumes:
        for number, outcome in last.items():
            folds = tuple(replace(fold, fit_time=seconds[number, fold.job.fold]) for fold in outcome.folds)
            last[number] = replace(outcome, folds=folds)
    return [last[number] for number in sorted(last)]


def scikit_learn_records(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """What scikit-learn's `_fit_and_score` would have returned, row by row and fold by fold; folds not run left out."""
    return [_record(fold) for outcome in outcomes for fold in outcome.folds]


def padded_records(outcomes: Sequence[Outcome], n_splits: int) -> list[dict[str, Any]]:
    """As `scikit_learn_records`, with `n_splits` records a row: the first fold of a row stands in for those not run.

    scikit-learn formats full tables only, and warns of a mean that is nan; `blank_unseen` takes the
    stand-ins out again.
    """
    records = []
    for outcome in outcomes:
        by_fold = {fold.job.fold: fold for fold in outcome.folds}
        stand_in = outcome.folds[0]
        records += [_record(by_fold.get(split, stand_in)) for split in range(n_splits)]
    return records


def blank_unseen(
    results: dict[str, Any], outcomes: Sequence[Outcome], n_splits: int, known: Sequence[Outcome] | None = None
) -> None:
    """Take the stand-ins of `padded_records` out of `cv_results_`, in place.

    Folds that were not run become nan. The standard deviations and the mean times are those of the
    folds that were run. So is the mean score of a failed trial; that of a pruned one is the fold-adjusted mean
    (`folds.FoldModel`), for every metric by its own fold effects, the medians over the complete outcomes with the same
    amount of resource. That of a test score is at most just below the best of these.

    Parameters
    ----------
    results : dict
        scikit-learn's, one row for each of `outcomes`.
    outcomes : sequence of Outcome
    n_splits : int
    known : sequence of Outcome or None
        All of the search, where a trial has several; None: `outcomes`.

    Examples
    --------
    >>> from sksearch.trials import Evaluation, Job, Trial
    >>> def outcome(number, *scores):
    ...     e, seen = Evaluation(Trial(number, {})), [k for k, score in enumerate(scores) if score == score]
    ...     folds = [FoldScore(job=Job(e, k), test_scores=scores[k], fit_time=1.0, score_time=1.0) for k in seen]
    ...     return Outcome(evaluation=e, folds=tuple(folds), score=0.0, fold_scores=scores)
    >>> outcomes = [outcome(0, 1.0, 3.0), outcome(1, 0.5, math.nan)]
    >>> means = {f"mean_{name}": np.array([2.0, 0.0]) for name in ("test_score", "fit_time", "score_time")}
    >>> deviations = {name.replace("mean", "std"): np.zeros(2) for name in means}
    >>> table = {"split0_test_score": np.array([1.0, 0.5]), "split1_test_score": np.array([3.0, 0.5])}
    >>> results = {**table, **means, **deviations}
    >>> blank_unseen(results, outcomes, 2)
    >>> results["split1_test_score"], results["mean_test_score"]  # half a point less than fold 0 usually gives
    (array([ 3., nan]), array([2. , 1.5]))
    """
    seen = np.zeros((len(outcomes), n_splits), dtype=bool)
    for row, outcome in enumerate(outcomes):
        seen[row, [fold.job.fold for fold in outcome.folds]] = True
    partial = np.flatnonzero(~seen.all(axis=1)).tolist()
    if not partial:
        return
    for name in ("fit_time", "score_time"):
        for row in partial:
            _set_mean_and_std(results, name, row, np.array([getattr(fold, name) for fold in outcomes[row].folds]))
    complete = by_amount(told for told in (outcomes if known is None else known) if told.status == "ok")
    for name in [key.removeprefix("split0_") for key in results if key.startswith("split0_")]:
        columns = [results[f"split{split}_{name}"] for split in range(n_splits)]
        tables = {amount: _scores(told, name, n_splits) for amount, told in complete.items()}
        for row in partial:
            scores = np.array([column[row] for column in columns])[seen[row]]
            _set_mean_and_std(results, name, row, scores)
            if outcomes[row].status == "pruned":
                table = tables[outcomes[row].evaluation.n_resources]
                effects = np.array([_finite_median(column) for column in table.T])
                adjusted = np.mean(scores - effects[seen[row]]) + np.mean(effects)
                most = _just_below(table.mean(axis=1)) if name.startswith("test_") else math.inf
                results[f"mean_{name}"][row] = min(adjusted, most)
        for split, column in enumerate(columns):
            column[~seen[:, split]] = np.nan


def _scores(outcomes: Sequence[Outcome], name: str, n_splits: int) -> NDArray[np.float64]:
    """(m, K) scores of complete outcomes; `name` as in the columns of `cv_results_`: "test_score", "train_auc"."""
    part, metric = name.split("_", 1)
    table = np.empty((len(outcomes), n_splits))
    for row, outcome in enumerate(outcomes):
        for fold in outcome.folds:
            scores = fold.test_scores if part == "test" else fold.train_scores
            value = scores[metric] if isinstance(scores, Mapping) else scores
            table[row, fold.job.fold] = math.nan if value is None else value
    return table


def _set_mean_and_std(results: dict[str, Any], name: str, row: int, values: NDArray[np.float64]) -> None:
    results[f"mean_{name}"][row], results[f"std_{name}"][row] = np.mean(values), np.std(values)


def _just_below(means: NDArray[np.float64]) -> float:
    """The largest number below the best mean: a candidate that was stopped is not shown as the best."""
    finite = means[np.isfinite(means)]
    return float(np.nextafter(finite.max(), -math.inf)) if len(finite) else math.inf


def _finite_median(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else math.nan


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


def name_errors(
    records: Sequence[dict[str, Any]], error_score: float | str, others: Sequence[dict[str, Any]] = ()
) -> None:
    """Where a callable `scoring` gives scores by name: `error_score` by these names for what failed, changed in place.

    As scikit-learn does it for fits, but also where the callable itself has raised. `others`: more records to know the
    names from.
    """

    def failed(record: dict[str, Any], part: str) -> bool:
        return record["fit_error"] is not None or isinstance(record.get(part), FailedScore)

    for part in ("test_scores", "train_scores"):
        found = (record[part] for record in (*records, *others) if isinstance(record.get(part), Mapping))
        names = next(found, ())
        for record in records if names else ():
            if failed(record, part) and not isinstance(record.get(part), Mapping):
                record[part] = dict.fromkeys(names, error_score)


def trial_columns(outcomes: Sequence[Outcome]) -> dict[str, list[Any]]:
    """The columns beyond scikit-learn's that adaptive searches show for each row."""
    return {
        "status": [outcome.status for outcome in outcomes],
        "n_splits_done": [len(outcome.folds) for outcome in outcomes],
        "start_time": [outcome.start_time for outcome in outcomes],
        "end_time": [outcome.end_time for outcome in outcomes],
    }


def ranks(outcomes: Sequence[Outcome], scores: NDArray[np.float64], reached: Sequence[int]) -> NDArray[np.int32]:
    """Rank of each row, 1 is best: complete trials, then pruned, then failed; more resource first, then higher scores.

    Ties share a rank.

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
    level = {"ok": 2, "pruned": 1, "failed": 0}
    worst = (0, 0, 0.0)
    keys = [
        (level[outcome.status], amount, float(score)) if outcome.status != "failed" and math.isfinite(score) else worst
        for outcome, score, amount in zip(outcomes, scores, reached, strict=True)
    ]
    rank_of: dict[tuple[int, int, float], int] = {}
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
