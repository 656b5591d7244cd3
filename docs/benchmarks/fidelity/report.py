"""The cost of reaching a score as tables, from the records alone.

    python docs/benchmarks/fidelity/report.py [--records DIR] [--ours "hyperband, large"]

The target of a cell (task and seed) is BayesSearchCV's final score, and BayesSearchCV's cost is that of its first trial
with it. A search that never has it counts at all it was given: its own time or BayesSearchCV's, whichever is more.
Costs are compared by geometric means of ratios; the intervals are 95 % bootstraps over the seeds of each task.

Scores after equal cost, the processor time of the search or of a whole BayesSearchCV, whichever is less, are
differences from what BayesSearchCV had by then, in units of its final lead over the median random trial, with which a
search counts that has no full trial yet.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cost import RECORDS, best, read
from searches import SEARCHES
from tasks import TASKS

OURS = "hyperband"
WANTED = {"bayes": 1 / 3, "random": 1 / 5, "halving": 1 / 2}
"""Largest ratio of our cost to theirs that is aimed at."""
FEWEST_SEEDS = 2

Cells = dict[tuple[str, int], dict[str, Any]]


def load(folder: Path) -> dict[str, Cells]:
    """The cells of each method that has any."""
    known = {}
    for method in SEARCHES:
        cells = read(folder, method)["cells"]
        known[method] = {(task, int(seed)): cell for task, seeds in cells.items() for seed, cell in seeds.items()}
    return {method: cells for method, cells in known.items() if cells}


def cost(cell: dict[str, Any], bayes: dict[str, Any]) -> tuple[float, bool]:
    """Seconds until the target was reached, and whether it was."""
    target = best(bayes)
    when = next((seconds for seconds, score in cell["full"] if score >= target), None)
    return (max(cell["seconds"], bayes["seconds"]), False) if when is None else (when, True)


def score_at(cell: dict[str, Any], seconds: float, otherwise: float) -> float:
    """The best score after so many seconds."""
    return max((score for when, score in cell["full"] if when <= seconds), default=otherwise)


def true_at(cell: dict[str, Any], seconds: float, otherwise: float) -> float:
    """The true value of what was best after so many seconds."""
    known = [value for when, value in cell["true"] if when <= seconds]
    return known[-1] if known else otherwise


def interval(by_task: dict[str, list[float]]) -> str:
    """95 % bootstrap of the mean over the seeds of each task."""
    if not by_task or min(map(len, by_task.values())) < FEWEST_SEEDS:
        return "too few seeds"
    rng = np.random.default_rng(0)
    total = np.zeros(10_000)
    for values in by_task.values():
        total += np.array(values)[rng.integers(len(values), size=(10_000, len(values)))].sum(axis=1)
    low, high = np.quantile(total / sum(map(len, by_task.values())), [0.025, 0.975])
    return f"{low:.9g} {high:.9g}"


def grouped(cells: Sequence[tuple[str, int]], value: Callable[[tuple[str, int]], float]) -> dict[str, list[float]]:
    """A number for each cell, by task."""
    groups: dict[str, list[float]] = {}
    for cell in cells:
        groups.setdefault(cell[0], []).append(value(cell))
    return groups


def mean(groups: dict[str, list[float]]) -> float:
    """Over all cells."""
    return statistics.fmean(value for values in groups.values() for value in values)


def ratios(known: dict[str, Cells], ours: str) -> str:
    """Markdown: what our cost is of that of each other search."""
    lines = [
        f"| search | cells | reached by it | by `{ours}` | our cost / its cost | 95 % interval | aim |",
        "|---|---|---|---|---|---|---|",
    ]
    bayes = known["bayes"]
    for method, cells in known.items():
        both = sorted(cells.keys() & known[ours].keys() & bayes.keys())
        if method == ours or not both:
            continue

        def ratio(cell: tuple[str, int], cells: Cells = cells) -> float:
            return float(np.log(cost(known[ours][cell], bayes[cell])[0] / cost(cells[cell], bayes[cell])[0]))

        logs = grouped(both, ratio)
        shown = interval(logs)
        if not shown.startswith("too"):
            shown = " to ".join(f"{np.exp(float(end)):.2f}" for end in shown.split())
        reached = [sum(cost(found[cell], bayes[cell])[1] for cell in both) for found in (cells, known[ours])]
        aim = f"{WANTED[method]:.2f}" if method in WANTED else ""
        lines.append(
            f"| {method} | {len(both)} | {reached[0]} | {reached[1]} | {np.exp(mean(logs)):.2f} | {shown} | {aim} |"
        )
    return "\n".join(lines)


def seconds_by_task(known: dict[str, Cells]) -> str:
    """Markdown: geometric mean of the seconds to the target, and how many cells reached it, by task and method."""
    methods = list(known)
    lines = ["| seconds to the target | " + " | ".join(methods) + " |", "|---" * (len(methods) + 1) + "|"]
    for task in TASKS:
        row = []
        for method in methods:
            cells = [cell for cell in known[method] if cell[0] == task and cell in known["bayes"]]
            found = [cost(known[method][cell], known["bayes"][cell]) for cell in cells]
            mean_seconds = np.exp(np.mean(np.log([seconds for seconds, _ in found]))) if found else np.nan
            row.append(f"{mean_seconds:.1f} ({sum(reached for _, reached in found)}/{len(found)})" if found else "")
        lines.append(f"| {task} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def equal_cost(known: dict[str, Cells]) -> str:
    """Markdown: scores after equal processor time, as differences from BayesSearchCV's, and that time."""
    lines = [
        "| search | cells | of its time | observed score | 95 % interval | true value | 95 % interval |",
        "|---|---|---|---|---|---|---|",
    ]
    bayes = known["bayes"]
    drawn: dict[str, list[float]] = {}
    for (task, _), cell in known.get("random", {}).items():
        drawn.setdefault(task, []).extend(score for _, score in cell["full"])
    middles = {task: statistics.median(scores) for task, scores in drawn.items()}
    for method, cells in known.items():
        both = sorted(cell for cell in cells.keys() & bayes.keys() if cell[0] in middles)
        if method == "bayes" or not both:
            continue

        def lead(cell: tuple[str, int], cells: Cells = cells, at: Callable[..., float] = score_at) -> float:
            middle, seconds = middles[cell[0]], min(cells[cell]["seconds"], bayes[cell]["seconds"])
            ours, theirs = (at(found[cell], seconds, middle) for found in (cells, bayes))
            return (ours - theirs) / (at(bayes[cell], np.inf, middle) - middle)

        def true_lead(cell: tuple[str, int], cells: Cells = cells) -> float:
            return lead(cell, cells, true_at)

        spent = [min(cells[cell]["seconds"] / bayes[cell]["seconds"], 1.0) for cell in both]
        row = [f"{statistics.geometric_mean(spent):.2f}"]
        for value in (lead, true_lead):
            groups = grouped(both, value)
            shown = interval(groups)
            if not shown.startswith("too"):
                shown = " to ".join(f"{float(end):+.3f}" for end in shown.split())
            row += [f"{mean(groups):+.3f}", shown]
        lines.append(f"| {method} | {len(both)} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def scores_by_task(known: dict[str, Cells]) -> str:
    """Markdown: mean scores within the time of a whole BayesSearchCV, and true values of what had them."""
    methods = list(known)
    lines = ["| score within that time (true) | " + " | ".join(methods) + " |", "|---" * (len(methods) + 1) + "|"]
    bayes = known["bayes"]
    for task in TASKS:
        row = []
        for method in methods:
            cells = [cell for cell in known[method] if cell[0] == task and cell in bayes]
            found = [score_at(known[method][cell], bayes[cell]["seconds"], np.nan) for cell in cells]
            true = [true_at(known[method][cell], bayes[cell]["seconds"], np.nan) for cell in cells]
            row.append(f"{np.mean(found):.4f} ({np.mean(true):.4f})" if found else "")
        lines.append(f"| {task} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def rungs(known: dict[str, Cells]) -> str:
    """Markdown: complete evaluations by units of resource, and seconds in all, means over the cells."""
    lines = ["| search | cells | seconds | 1 | 3 | 9 | 27 | 81 units |", "|---" * 8 + "|"]
    for method, cells in known.items():
        counts = [np.mean([cell["amounts"].get(str(n), 0) for cell in cells.values()]) for n in (1, 3, 9, 27, 81)]
        seconds = np.mean([cell["seconds"] for cell in cells.values()])
        shown = " | ".join(f"{count:.1f}" for count in counts)
        lines.append(f"| {method} | {len(cells)} | {seconds:.1f} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--ours", default=OURS, choices=[name for name in SEARCHES if name.startswith(OURS)])
    options = parser.parse_args()
    known, ours = load(options.records), options.ours
    if missing := [method for method in SEARCHES if method not in known]:
        print(f"No cells of: {'; '.join(missing)}. What has none leaves its line unmet.\n")
    if "bayes" not in known:
        return
    if ours in known:
        print(ratios(known, ours), end="\n\n")
    print(seconds_by_task(known), equal_cost(known), scores_by_task(known), rungs(known), sep="\n\n")


if __name__ == "__main__":
    main()
