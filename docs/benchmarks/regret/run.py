"""Run one method on the tasks of the comparison, and keep a record.

    python docs/benchmarks/regret/run.py METHOD [--seeds 10] [--trials 100] [--tasks svc ...] [--jobs 2] [--records DIR]

A cell is one task and one seed. The method maximises what a search sees: the function, or the mean score of one
3-fold split (another split for every seed, the same for all methods), from the same first point. Whenever the best
observed score changes, the *true value* of that point is taken: the function, or the mean over ten other 3-fold splits
with other seeds of the estimator. Cells that the record has already are not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from methods import METHODS, versions
from tasks import DEVELOPMENT, REPORTED, TASKS
from threadpoolctl import threadpool_limits

RECORDS = Path(__file__).with_name("records")


def run_cell(method: str, name: str, seed: int, n_trials: int) -> dict[str, Any]:
    """One search: which trials were the best so far, their true values, and the time of the suggestions."""
    task = TASKS[name]
    first = task.draw(np.random.default_rng((seed, 0)))
    searcher = METHODS[method](task, first, n_trials, seed)
    seconds: list[float] = []
    incumbents: list[tuple[int, float]] = []
    best = worst = math.nan
    for number in range(n_trials):
        start = time.perf_counter()
        params = searcher.ask()
        seconds.append(time.perf_counter() - start)
        folds = task.folds(params, seed)
        score = statistics.fmean(folds)
        if math.isfinite(score):
            worst = min(score, worst) if math.isfinite(worst) else score
            if not score <= best:
                best = score
                incumbents.append((number, float(f"{task.true_value(params):.7g}")))
        start = time.perf_counter()
        # peers stop at a nan, so a failed fit is told as the worst score so far
        told = score if math.isfinite(score) else worst if math.isfinite(worst) else -1e3
        searcher.tell(params, told, folds if math.isfinite(score) else [told])
        seconds[-1] += time.perf_counter() - start
    last = {n: seconds[n - 20 : n] for n in (50, 100, 200) if n <= n_trials}
    return {
        "trials": n_trials,
        "incumbents": incumbents,
        "milliseconds": {n: round(1e3 * statistics.median(times), 2) for n, times in last.items()},
    }


def write(path: Path, record: dict[str, Any]) -> None:
    """One line for a cell, so that differences can be read."""
    lines = []
    for name, cells in sorted(record["cells"].items()):
        rows = ",\n".join(f'   "{seed}": {json.dumps(cells[seed])}' for seed in sorted(cells, key=int))
        lines.append(f'  "{name}": {{\n{rows}\n  }}')
    head = {key: value for key, value in record.items() if key != "cells"}
    text = json.dumps(head)[:-1] + ',\n "cells": {\n' + ",\n".join(lines) + "\n }\n}\n"
    path.write_text(text)


def main() -> None:
    """Parse the command line, run what is missing, write after each cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(REPORTED))
    parser.add_argument("--development", action="store_true", help="the tasks for choosing settings instead")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--records", type=Path, default=RECORDS)
    options = parser.parse_args()
    names = list(DEVELOPMENT) if options.development else options.tasks
    options.records.mkdir(exist_ok=True)
    path = options.records / f"{options.method}.json"
    record = json.loads(path.read_text()) if path.exists() else {"method": options.method, "cells": {}}
    record["versions"] = versions(options.method)
    missing = [
        (name, seed)
        for seed in range(options.seeds)
        for name in names
        if record["cells"].get(name, {}).get(str(seed), {"trials": 0})["trials"] < options.trials
    ]
    with ProcessPoolExecutor(options.jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        waiting = {pool.submit(run_cell, options.method, *cell, options.trials): cell for cell in missing}
        for done in as_completed(waiting):
            name, seed = waiting[done]
            record["cells"].setdefault(name, {})[str(seed)] = done.result()
            write(path, record)
            print(f"{options.method}: {name}, seed {seed}", flush=True)


if __name__ == "__main__":
    main()
