"""Fold pruning against evaluating every fold, at equal numbers of folds.

    python docs/benchmarks/regret/pruning.py [--seeds 10] [--folds 150] [--tasks svc ...] [--jobs 2] [--output FILE]

The real tasks with 5 folds, the engine and the sampler of BayesSearchCV, one worker, `prune_folds` True and False with
the same seed, splits and first point. After every third of the budget of folds the best completely evaluated trial is
selected, and its true value taken (ten other splits). Regrets as in `report.py`; the last column is the ratio.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tasks import REPORTED, Task
from threadpoolctl import threadpool_limits

from sksearch.execution import Delivery, Desk, JobPool, run_search
from sksearch.pruning import PairedRule
from sksearch.samplers.bayes import BayesSampler
from sksearch.schedulers.full import FullScheduler
from sksearch.space import Space
from sksearch.trials import History, Job

N_FOLDS = 5
REAL = [name for name, task in REPORTED.items() if task.optimum is None]


class Spent(Exception):  # noqa: N818 - not an error: the budget of folds is spent
    """Ends a search."""


def fold_score(task: Task, job: Job, seed: int) -> float:
    """The score of one fold."""
    chosen = slice(job.fold, job.fold + 1)
    return task.score.folds(job.evaluation.trial.params, seed, N_FOLDS, chosen)[0]  # type: ignore[attr-defined]


def search(task: Task, seed: int, n_folds: int, *, prune: bool) -> tuple[History, list[int]]:
    """The trials of one search, and how many folds had been run when each was told."""
    space = Space.parse(task.space, argument="search_spaces", tuple_is_range=True)
    first = task.draw(np.random.default_rng((seed, 0)))
    # a user who pays with folds still says how many trials are wanted
    sampler = BayesSampler(space, n_folds // N_FOLDS, initial_params=[first])
    scheduler, history, spent = FullScheduler(sampler), History(), [0]
    desk = Desk(
        scheduler,
        history,
        n_folds=N_FOLDS,
        objective=float,
        entropy=seed,
        delivery=Delivery.in_order(1),
        rule_of=PairedRule.of if prune else None,
    )

    def run(jobs: Sequence[Job]) -> list[dict[str, Any]]:
        if spent[0] + len(jobs) > n_folds:
            raise Spent
        spent[0] += len(jobs)
        scores = [fold_score(task, job, seed) for job in jobs]
        return [{"test_scores": score, "fit_time": 0.0, "score_time": 0.0} for score in scores]

    try:
        with JobPool(run, n_jobs=1) as pool:
            run_search(scheduler, pool, history, desk)
    except Spent:
        pass
    return history, list(np.cumsum([len(outcome.folds) for outcome in history.outcomes]))


def run_cell(checkpoints: Sequence[int], name: str, seed: int, prune: bool) -> dict[str, Any]:
    """True values of the selected trials at the checkpoints, and how many trials there were."""
    task = REPORTED[name]
    history, spent = search(task, seed, checkpoints[-1], prune=prune)
    values = []
    for checkpoint in checkpoints:
        known = [o for o, folds in zip(history.outcomes, spent, strict=True) if folds <= checkpoint]
        best = max((o for o in known if o.status == "ok"), key=lambda o: o.score)
        values.append(task.true_value(best.evaluation.trial.params))
    return {"task": name, "seed": seed, "prune": prune, "values": values, "trials": len(history.outcomes)}


def main() -> None:
    """Run all cells, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--folds", type=int, default=150)
    parser.add_argument("--tasks", nargs="+", choices=REAL, default=REAL)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    checkpoints = [options.folds // 3, 2 * options.folds // 3, options.folds]
    cells = [(name, seed, prune) for name in options.tasks for seed in range(options.seeds) for prune in (False, True)]
    with ProcessPoolExecutor(options.jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        results = list(pool.map(partial(run_cell, checkpoints), *zip(*cells, strict=True)))
    if options.output:
        options.output.write_text(json.dumps(results))
    references = json.loads(Path(__file__).with_name("references.json").read_text())["tasks"]
    shape = (len(options.tasks), options.seeds, 2)
    optimum, median = (np.array([references[name][key] for name in options.tasks]) for key in ("optimum", "median"))
    values = np.array([result["values"] for result in results]).reshape(*shape, 3)
    regrets = (optimum[:, None, None, None] - values) / (optimum - median)[:, None, None, None]
    trials = np.array([result["trials"] for result in results]).reshape(shape).mean(axis=1)
    print(f"| task, {options.folds} folds | trials, all folds | pruned | regret, all folds | pruned | ratio |")
    print("|---|---|---|---|---|---|")
    for row, name in enumerate(options.tasks):
        every, pruned = regrets[row, :, :, -1].mean(axis=0)
        counts = f"{trials[row, 0]:.0f} | {trials[row, 1]:.0f}"
        print(f"| {name} | {counts} | {every:.4f} | {pruned:.4f} | {pruned / every:.2f} |")
    for position, checkpoint in enumerate(checkpoints):
        every, pruned = regrets[..., position].mean(axis=(0, 1))
        print(f"| mean, {checkpoint} folds | | | {every:.4f} | {pruned:.4f} | {pruned / every:.2f} |")


if __name__ == "__main__":
    main()
