"""Time of one suggestion after 50, 200 and 1000 completed trials, beside Optuna's GPSampler in the same run.

    python docs/benchmarks/regret/cost.py [--trials 50 200 1000] [--tasks hartmann6 ...] [--methods sksearch optuna-gp]

One thread of one core. The trials before are random points; then come 20 consecutive pairs of asking and telling, of
which the median, the mean and the largest time are printed. Methods take turns, pair by pair. An Optuna that is not
installed is left out: `compare.py` makes the environment that has both.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Sequence

import numpy as np
from methods import METHODS, Method
from tasks import TASKS
from threadpoolctl import threadpool_limits

N_PAIRS = 20


def prepared(name: str, method: str, n_trials: int) -> Method:
    """A search that knows `n_trials` random trials."""
    task, rng = TASKS[name], np.random.default_rng(0)
    points = [task.draw(rng) for _ in range(n_trials)]
    searcher = METHODS[method](task, points[0], n_trials + N_PAIRS, 0)
    for params in points:
        searcher.add(params, task.score(params, 0))  # type: ignore[attr-defined]
    return searcher


def measure(name: str, methods: Sequence[str], n_trials: int) -> dict[str, list[float]]:
    """Seconds of each pair, by method."""
    task = TASKS[name]
    searchers = {method: prepared(name, method, n_trials) for method in methods}
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    for _ in range(N_PAIRS):
        for method, searcher in searchers.items():
            start = time.perf_counter()
            params = searcher.ask()
            asked = time.perf_counter() - start
            score = task.score(params, 0)
            start = time.perf_counter()
            searcher.tell(params, score, [score])
            seconds[method].append(asked + time.perf_counter() - start)
    return seconds


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=["hartmann6", "mixed ackley", "tree"])
    parser.add_argument("--methods", nargs="+", choices=["sksearch", "optuna-gp"], default=["sksearch", "optuna-gp"])
    options = parser.parse_args()
    methods = [m for m in options.methods if m == "sksearch" or importlib.util.find_spec("optuna")]
    print("| task | trials before | method | median, ms | mean | largest | ratio of medians |")
    print("|---|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for name in options.tasks:
            for n_trials in options.trials:
                seconds = measure(name, methods, n_trials)
                ours = statistics.median(seconds[methods[0]])
                for method, times in seconds.items():
                    median = statistics.median(times)
                    shown = " | ".join(f"{1e3 * value:.1f}" for value in (median, statistics.fmean(times), max(times)))
                    print(f"| {name} | {n_trials} | {method} | {shown} | {ours / median:.3f} |", flush=True)


if __name__ == "__main__":
    main()
