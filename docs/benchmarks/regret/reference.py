"""Optimum and median of every task, by an independent search; kept in references.json.

    python docs/benchmarks/regret/reference.py [--tasks svc ...] [--jobs 2]

The optimum of a function is known. That of a real task comes from 5,120 points: 4,200 random ones on one further
split; the 200 best on two more; four rounds of 200 mutations of the 25 best by the mean of the three, each in steps
half as large as before. Then the 30 best random points and the 20 best mutants are valued on the splits of the true
value, and so are four more rounds of 30 mutations of the 6 best there. The largest true value is the optimum. The
median is that of the scores of the random points on the one split (of 20,000 random points for a function).
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from tasks import TASKS, TRUE_SPLITS, Params, Task, branch_of, draw_value, is_whole
from threadpoolctl import threadpool_limits

REFERENCES = Path(__file__).with_name("references.json")
REFERENCE_SPLITS = range(20_000, 20_003)
N_RANDOM, N_KEPT, N_ROUNDS, N_MUTANTS, N_PARENTS = 4_200, 200, 4, 200, 25
N_SHORTLIST, N_LAST_ROUNDS, N_LAST_MUTANTS, N_LAST_PARENTS = (30, 20), 4, 30, 6


def mutant(task: Task, parent: Params, step: float, rng: np.random.Generator) -> Params:
    """A point near the parent: half of the numbers moved by `step` of their range, one time in four one value anew."""
    branch = task.branches[branch_of(task.branches, parent)]
    child = {name: moved(branch[name], value, step, rng) for name, value in parent.items()}
    if rng.random() < 0.25:
        name = list(child)[rng.integers(len(child))]
        child[name] = draw_value(branch[name], rng)
    return child


def moved(values: Any, value: Any, step: float, rng: np.random.Generator) -> Any:
    """A number moved by a normal step, one time in two; on its own scale."""
    if isinstance(values, list) or rng.random() < 0.5:
        return value
    low, high, *prior = values
    warp, unwarp = (math.log, math.exp) if prior else (float, float)
    near = unwarp(warp(value) + step * (warp(high) - warp(low)) * rng.standard_normal())
    near = min(max(near, low), high)
    return round(near) if is_whole(values) else near


def mean_scores(pool: Executor, name: str, points: Sequence[Params], splits: Sequence[int]) -> list[float]:
    """For every point its mean score over the splits, the worst of all where a fit failed."""
    scores = list(pool.map(partial(mean_score, name, splits), points, chunksize=25))
    worst = min(score for score in scores if math.isfinite(score))
    return [score if math.isfinite(score) else worst for score in scores]


def mean_score(name: str, splits: Sequence[int], params: Params) -> float:
    """The score of one point, averaged."""
    return statistics.fmean(TASKS[name].score(params, seed) for seed in splits)


def best_of(params: Sequence[Params], scores: Sequence[float], n: int) -> list[Params]:
    """The n points of largest score, best first."""
    return [params[i] for i in np.argsort(-np.array(scores), kind="stable")[:n]]


def reference(name: str, jobs: int) -> dict[str, Any]:
    """Optimum and median of a task, by the search described above."""
    task, rng = TASKS[name], np.random.default_rng(20_000)
    if task.optimum is not None:
        values = [task.score(task.draw(rng), 0) for _ in range(20_000)]
        return {"optimum": task.optimum, "median": statistics.median(values), "n_points": len(values)}

    def children(parents: Sequence[Params], n: int, step: float) -> list[Params]:
        return [mutant(task, parents[i % len(parents)], step, rng) for i in range(n)]

    with ProcessPoolExecutor(jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        drawn = [task.draw(rng) for _ in range(N_RANDOM)]
        first = mean_scores(pool, name, drawn, REFERENCE_SPLITS[:1])
        params = best_of(drawn, first, N_KEPT)
        scores = mean_scores(pool, name, params, REFERENCE_SPLITS)
        for turn in range(N_ROUNDS):
            young = children(best_of(params, scores, N_PARENTS), N_MUTANTS, 0.1 / 2**turn)
            scores += mean_scores(pool, name, young, REFERENCE_SPLITS)
            params += young
        # mutants crowd around few points, which may owe their place to the three splits
        params = [
            *best_of(params[:N_KEPT], scores[:N_KEPT], N_SHORTLIST[0]),
            *best_of(params[N_KEPT:], scores[N_KEPT:], N_SHORTLIST[1]),
        ]
        values = mean_scores(pool, name, params, TRUE_SPLITS)
        for turn in range(N_LAST_ROUNDS):
            young = children(best_of(params, values, N_LAST_PARENTS), N_LAST_MUTANTS, 0.05 / 2**turn)
            values += mean_scores(pool, name, young, TRUE_SPLITS)
            params += young
    return {
        "optimum": max(values),
        "median": statistics.median(first),
        "n_points": N_RANDOM + N_ROUNDS * N_MUTANTS + N_LAST_ROUNDS * N_LAST_MUTANTS,
        "best": {key: repr(value) for key, value in best_of(params, values, 1)[0].items()},
    }


def main() -> None:
    """Parse the command line; compute and store the references of the named tasks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    stored = json.loads(REFERENCES.read_text()) if REFERENCES.exists() else {"tasks": {}}
    stored["made_by"] = "python docs/benchmarks/regret/reference.py (see its docstring)"
    stored["versions"] = {
        "python": platform.python_version(),
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
    }
    for name in options.tasks:
        start = time.perf_counter()
        stored["tasks"][name] = reference(name, options.jobs)
        print(f"{name}: {stored['tasks'][name]} ({time.perf_counter() - start:.0f} s)", flush=True)
        REFERENCES.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
