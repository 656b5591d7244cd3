"""Regret with eight trials under way at once, against one after the other.

    python docs/benchmarks/regret/parallel.py [--seeds 10] [--trials 64] [--workers 8] [--tasks svc ...] [--jobs 2]

A simulated clock: every trial takes a lognormal time (sigma 1.5), a free worker asks at once. "on arrival" is what
`random_state=None` does: the model sees every outcome when it is there. "in order" is what an int seed does: outcomes
are delivered in the order of asking, and at most as many trials as there are workers are under way or waiting. (In a
search the folds of a trial are run side by side, so fewer trials are under way: this is the hardest case.) The true
value of the best observed trial, regrets as in `report.py`.
"""

from __future__ import annotations

import argparse
import heapq
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from tasks import REPORTED
from threadpoolctl import threadpool_limits

from sksearch.samplers.bayes import BayesSampler
from sksearch.space import Space
from sksearch.trials import Evaluation, History, Outcome, Trial

WAYS = ("one by one", "on arrival", "in order")


def run_cell(n_trials: int, workers: int, way: str, name: str, seed: int) -> tuple[float, float]:
    """The true value that is reached, and the share of the workers' time that was used."""
    task = REPORTED[name]
    n_workers = 1 if way == "one by one" else workers
    space = Space.parse(task.space, argument="search_spaces", tuple_is_range=True)
    first = task.draw(np.random.default_rng((seed, 0)))
    sampler = BayesSampler(space, n_trials, initial_params=[first], n_workers=n_workers)
    times = np.random.default_rng((seed, 2)).lognormal(0.0, 1.5, n_trials)
    history = History()
    running: list[tuple[float, int, Evaluation]] = []
    done: dict[int, Evaluation] = {}
    folds: list[list[float]] = []
    clock = 0.0
    while len(history.outcomes) < n_trials:
        under_way = running if way == "on arrival" else history.pending
        while len(history.trials) < n_trials and len(running) < n_workers and len(under_way) < n_workers:
            number = len(history.trials)
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
            params = sampler.suggest(history, rng)
            if params is None:
                raise RuntimeError("no task has a finite space.")
            evaluation = Evaluation(Trial(number, params))
            history.asked(evaluation)
            folds.append(task.folds(params, seed))
            heapq.heappush(running, (clock + times[number], number, evaluation))
            under_way = running if way == "on arrival" else history.pending
        clock, number, evaluation = heapq.heappop(running)
        done[number] = evaluation
        ready = list(done) if way == "on arrival" else []
        while way != "on arrival" and len(history.outcomes) + len(ready) in done:
            ready.append(len(history.outcomes) + len(ready))
        for number in ready:
            seen = tuple(folds[number]) if len(folds[number]) > 1 else ()
            score = float(np.mean(folds[number]))
            history.told(Outcome(evaluation=done.pop(number), folds=(), score=score, fold_scores=seen))
    best = history.trials[int(np.nanargmax([np.mean(scores) for scores in folds]))].params
    return task.true_value(best), float(times.sum() / (n_workers * clock))


def main() -> None:
    """Run all cells, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--tasks", nargs="+", choices=list(REPORTED), default=list(REPORTED))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    cells = [(way, name, seed) for way in WAYS for name in options.tasks for seed in range(options.seeds)]
    with ProcessPoolExecutor(options.jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        run = partial(run_cell, options.trials, options.workers)
        results = np.array(list(pool.map(run, *zip(*cells, strict=True))))
    references = json.loads(Path(__file__).with_name("references.json").read_text())["tasks"]
    optimum, median = (np.array([references[name][key] for name in options.tasks]) for key in ("optimum", "median"))
    values, used = np.moveaxis(results.reshape(len(WAYS), len(options.tasks), options.seeds, 2), -1, 0)
    regrets = (optimum[:, None] - values) / (optimum - median)[:, None]
    print(f"| {options.trials} trials, {options.workers} workers | regret | ratio | time used |")
    print("|---|---|---|---|")
    for way, regret, share in zip(WAYS, regrets.mean(axis=(1, 2)), used.mean(axis=(1, 2)), strict=True):
        print(f"| {way} | {regret:.4f} | {regret / regrets[0].mean():.2f} | {share:.2f} |")


if __name__ == "__main__":
    main()
