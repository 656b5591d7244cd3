"""Simulated learning curves and a simulated clock: what misleading early scores do to a search.

    python docs/benchmarks/fidelity/simulate.py [--seeds 10] [--workers 1 4 16 64] [--curves correlated ...] [--jobs 2]

A worker trains one unit in one second, give or take a lognormal factor of the trial (sigma 0.5), and is given its next
evaluation at once; promoted trials go on where they paused. Regret: the value at full resource, without luck, of the
trial that would be selected (the best score among the highest resource reached), relative to the median of the space;
1 before anything was scored. "published ASHA" takes early scores at their word. The random draws of full evaluations
and the model's have the budget of units of ASHA, Hyperband that of its brackets.
"""

from __future__ import annotations

import argparse
import heapq
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial

import numpy as np
from curves import CURVES, MOST, NAMES, SPACE
from threadpoolctl import threadpool_limits

from sksearch.samplers.bayes import BayesSampler
from sksearch.samplers.random import RandomSampler
from sksearch.schedulers.brackets import asynchronous_brackets, plan, synchronous_brackets
from sksearch.schedulers.full import FullScheduler
from sksearch.schedulers.hyperband import AshaScheduler, HyperbandScheduler
from sksearch.schedulers.protocol import Scheduler
from sksearch.space import Space
from sksearch.trials import History, Outcome

BUDGET = plan(asynchronous_brackets(1, MOST, 3)).n_resources
METHODS = ("ASHA, model", "published ASHA, model", "ASHA, random", "Hyperband, model", "full, model", "full, random")


def make(method: str, space: Space, n_workers: int) -> Scheduler:
    """Sampler and scheduler of a search with about the same budget."""
    schedule, kind = method.split(", ")
    brackets = ()
    n_trials = BUDGET // MOST
    if schedule != "full":
        brackets = (asynchronous_brackets if "ASHA" in schedule else synchronous_brackets)(1, MOST, 3)
        n_trials = sum(bracket.rungs[0].n_trials for bracket in brackets)
    sampler = BayesSampler(space, n_trials, n_workers=n_workers) if kind == "model" else RandomSampler(space, [])
    if schedule == "full":
        return FullScheduler(sampler, n_trials)
    if schedule == "Hyperband":
        return HyperbandScheduler(sampler, brackets)
    return AshaScheduler(sampler, brackets, robust=schedule == "ASHA")


def run(method: str, name: str, seed: int, n_workers: int) -> dict:
    """One search: (units spent, regret) whenever the selected trial changes, the share of time used, all units."""
    curves = CURVES[name]
    best, median = bounds(name)
    scheduler = make(method, Space.parse(SPACE, argument="param_distributions", tuple_is_range=True), n_workers)
    history, running, reached = History(), [], {}
    clock = spent = busy = 0.0
    selected: tuple[int, float, int] = (0, -np.inf, -1)
    track: list[tuple[float, float]] = []
    while True:
        while len(running) < n_workers:
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(len(history.trials),)))
            evaluation = scheduler.ask(history, rng)
            if evaluation is None:
                break
            history.asked(evaluation)
            number, units = evaluation.trial.number, (evaluation.n_resources or MOST)
            cost = units - reached.get(number, 0)
            reached[number] = units
            time = cost * np.random.default_rng([seed, number]).lognormal(0.0, 0.5)
            heapq.heappush(running, (clock + time, len(history.evaluations), evaluation, cost, time))
        if not running:
            break
        clock, _, evaluation, cost, time = heapq.heappop(running)
        units = evaluation.n_resources or MOST
        score = curves.score(evaluation.trial.params, units, seed)
        history.told(Outcome(evaluation=evaluation, folds=(), score=score))
        spent, busy = spent + cost, busy + time
        if (units, score) > selected[:2]:
            selected = (units, score, evaluation.trial.number)
            track.append((spent, (best - curves.value(evaluation.trial.params)) / (best - median)))
    return {"track": track, "units": spent, "used": busy / (n_workers * clock), "trials": len(history.trials)}


@lru_cache
def bounds(name: str) -> tuple[float, float]:
    """The best value of a dense search, polished, and the median of the space."""
    from scipy.optimize import minimize

    curves, rng = CURVES[name], np.random.default_rng(0)
    points = rng.random((4000, len(NAMES)))
    losses = np.array([curves.loss(point, MOST) for point in points])
    starts = points[np.argsort(losses)[:5]]
    polished = [
        minimize(lambda x: curves.loss(np.clip(x, 0, 1), MOST), start, method="Nelder-Mead").fun for start in starts
    ]
    return -min(polished), -float(np.median(losses))


def after(track: list[tuple[float, float]], units: float) -> float:
    """Regret of what was selected after so many units; 1, the median of the space, before the first."""
    known = [regret for spent, regret in track if spent <= units]
    return known[-1] if known else 1.0


def main() -> None:
    """Run all cells, print a table for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--curves", nargs="+", choices=list(CURVES), default=list(CURVES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    checkpoints = [BUDGET // 8, BUDGET // 4, BUDGET // 2, 2 * BUDGET]
    names = " | ".join([*(f"after {units} units" for units in checkpoints[:-1]), "in the end"])
    with ProcessPoolExecutor(options.jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        for n_workers in options.workers:
            print(f"| curves | search, {n_workers} workers | {names} | units | trials | time used |")
            print("|---" * (len(checkpoints) + 5) + "|")
            for name in options.curves:
                for method in options.methods:
                    cell = partial(run, method, name, n_workers=n_workers)
                    results = list(pool.map(cell, range(options.seeds)))
                    regrets = [np.mean([after(r["track"], units) for r in results]) for units in checkpoints]
                    units, trials, used = (np.mean([r[key] for r in results]) for key in ("units", "trials", "used"))
                    row = " | ".join(f"{regret:.3f}" for regret in regrets)
                    print(f"| {name} | {method} | {row} | {units:.0f} | {trials:.0f} | {used:.2f} |", flush=True)


if __name__ == "__main__":
    main()
