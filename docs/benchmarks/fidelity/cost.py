"""What it costs to reach a score: every search on every task, and a record of each.

    python docs/benchmarks/fidelity/cost.py [--seeds 3] [--tasks mlp ...] [--methods bayes ...] [--jobs 1]

A cell is a task, a method and a seed. Cost is processor time of the process, user and system, what the search itself
needs among it, from the start of the search without any refit. A score counts once a trial with the full 81 units of
resource has it as its mean over all three folds, which are the same for all methods; other seeds have other folds.

`bayes` comes first: with BayesSearchCV's final score as the target, searches that can go on do so until they have it,
for at least the time that BayesSearchCV took and for at most a multiple of it (see `searches.py`). The searches of
HyperbandSearchCV end with their plan, whatever they have then. Whenever the best trial changes, its *true value* is
taken: the mean over two other splits. Cells that the records have are not run
again; `report.py` makes the tables.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from searches import SEARCHES, Recorder, quiet, versions
from tasks import TASKS
from threadpoolctl import threadpool_limits

RECORDS = Path(__file__).with_name("records")
Cells = dict[str, dict[str, Any]]


def run_cell(method: str, name: str, seed: int, bayes: dict[str, Any] | None) -> dict[str, Any]:
    """One search: seconds and score of each full evaluation, and what its best ones are worth."""
    quiet()
    task = TASKS[name]
    task.data()
    search, _, multiple = SEARCHES[method]
    limits = {}
    if bayes is not None:
        limits = {"target": best(bayes), "least": bayes["seconds"], "most": multiple * bayes["seconds"]}
    recorder = Recorder(task, **limits)
    search(task, recorder, seed)
    seconds = recorder.seconds
    incumbents: list[tuple[float, float, float]] = []
    for (when, score), params in zip(recorder.full, recorder.params, strict=True):
        if not incumbents or score > incumbents[-1][1]:
            incumbents.append((round(when, 3), score, float(f"{task.true_value(params):.7g}")))
    return {
        "seconds": round(seconds, 3),
        "full": [(round(when, 3), float(f"{score:.7g}")) for when, score in recorder.full],
        "true": [(when, value) for when, _, value in incumbents],
        "amounts": dict(sorted(recorder.amounts.items())),
    }


def best(cell: dict[str, Any]) -> float:
    """The final score of a search; -inf without any trial at full resource."""
    return max((score for _, score in cell["full"]), default=-math.inf)


def read(folder: Path, method: str) -> dict[str, Any]:
    """What is known of a method."""
    path = folder / f"{method.replace(', ', '-')}.json"
    return json.loads(path.read_text()) if path.exists() else {"method": method, "cells": {}}


def write(folder: Path, record: dict[str, Any]) -> None:
    """One line for a cell, so that differences can be read."""
    lines = []
    for name, cells in sorted(record["cells"].items()):
        rows = ",\n".join(f'   "{seed}": {json.dumps(cells[seed])}' for seed in sorted(cells, key=int))
        lines.append(f'  "{name}": {{\n{rows}\n  }}')
    head = {key: value for key, value in record.items() if key != "cells"}
    text = json.dumps(head)[:-1] + ',\n "cells": {\n' + ",\n".join(lines) + "\n }\n}\n"
    (folder / f"{record['method'].replace(', ', '-')}.json").write_text(text)


def run_missing(pool: ProcessPoolExecutor, folder: Path, cells: Iterable[tuple[str, str, int]]) -> None:
    """Run cells that are not recorded; those of other methods need the one of `bayes`."""
    waiting = {}
    known = read(folder, "bayes")["cells"]
    for method, name, seed in cells:
        bayes = None if method == "bayes" else known.get(name, {}).get(str(seed))
        done = read(folder, method)["cells"].get(name, {})
        if str(seed) not in done and (method == "bayes" or bayes):
            waiting[pool.submit(run_cell, method, name, seed, bayes)] = method, name, seed
    for future in as_completed(waiting):
        method, name, seed = waiting[future]
        try:
            cell = future.result()
        except Exception as error:  # noqa: BLE001 - a peer that is missing or fails leaves its cells out
            print(f"{name}, seed {seed}, {method}: left out, {error!r}", flush=True)
            continue
        record = read(folder, method)
        record["versions"] = versions(method)
        record["cells"].setdefault(name, {})[str(seed)] = cell
        write(folder, record)
        print(f"{name}, seed {seed}, {method}: {best(cell):.5f} after {cell['seconds']:.1f} s", flush=True)


def main() -> None:
    """Parse the command line, run what is missing, write after each cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--methods", nargs="+", choices=list(SEARCHES), default=list(SEARCHES))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--records", type=Path, default=RECORDS)
    options = parser.parse_args()
    options.records.mkdir(exist_ok=True)
    others = [method for method in options.methods if method != "bayes"]
    with ProcessPoolExecutor(options.jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        for seed in range(options.seeds):
            run_missing(pool, options.records, [("bayes", name, seed) for name in options.tasks])
            run_missing(pool, options.records, [(m, name, seed) for m in others for name in options.tasks])


if __name__ == "__main__":
    main()
