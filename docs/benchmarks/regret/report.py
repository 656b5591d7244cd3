"""The comparison as a table and as plots, from the records alone.

    python docs/benchmarks/regret/report.py [--records DIR] [--plots DIR]

    normalised regret = (optimum - true value of the best observed point) / (optimum - median of the space)

A cell is one task and one seed. Every method is compared with `sksearch` on the cells both have, paired: the interval
is a 95 % bootstrap over the seeds of each task.
"""

from __future__ import annotations

import argparse
import json
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from tasks import REPORTED

HERE = Path(__file__).parent
CHECKPOINTS = (10, 20, 30, 50, 60, 100)
OURS = "sksearch"
FEWEST_SEEDS = 3
"""Of a task, below which a bootstrap over its seeds says nothing."""
STYLES = ("--", "-.", ":")
COLOURS = ("#444444", "#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")


def curve(cell: dict[str, Any], optimum: float, median: float) -> np.ndarray:
    """Normalised regret after 1, 2, ... trials; nan beyond the last."""
    regrets = np.full(cell["trials"], np.nan)
    for number, value in cell["incumbents"]:
        regrets[number:] = (optimum - value) / (optimum - median)
    return regrets


def load(folder: Path) -> dict[str, dict[tuple[str, int], np.ndarray]]:
    """For each method the curve of each cell, on the tasks that have a reference."""
    references = json.loads((HERE / "references.json").read_text())["tasks"]
    curves: dict[str, dict[tuple[str, int], np.ndarray]] = {}
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        curves[record["method"]] = {
            (task, int(seed)): curve(cell, references[task]["optimum"], references[task]["median"])
            for task, cells in record["cells"].items()
            for seed, cell in cells.items()
            if task in REPORTED and task in references
        }
    return curves


def differences(
    ours: dict[tuple[str, int], np.ndarray], theirs: dict[tuple[str, int], np.ndarray], trial: int
) -> dict[str, np.ndarray]:
    """(2, cells) regrets of both after `trial` trials, by task, where both have them."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for cell in sorted(ours.keys() & theirs.keys()):
        if min(len(ours[cell]), len(theirs[cell])) >= trial:
            pairs.setdefault(cell[0], []).append((ours[cell][trial - 1], theirs[cell][trial - 1]))
    return {task: np.array(rows).T for task, rows in pairs.items()}


def interval(by_task: dict[str, np.ndarray]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean difference, ours minus theirs, over the seeds of each task."""
    rng = np.random.default_rng(0)
    n_cells = sum(rows.shape[1] for rows in by_task.values())
    total = np.zeros(10_000)
    for rows in by_task.values():
        difference = rows[0] - rows[1]
        total += difference[rng.integers(len(difference), size=(10_000, len(difference)))].sum(axis=1)
    low, high = np.quantile(total / n_cells, [0.025, 0.975])
    return float(low), float(high)


def table(curves: dict[str, dict[tuple[str, int], np.ndarray]]) -> str:
    """Markdown: each method beside ours."""
    lines = [
        "| method | cells | after | its regret | ours | difference | 95 % interval |",
        "|---|---|---|---|---|---|---|",
    ]
    for method, theirs in curves.items():
        for trial in CHECKPOINTS if method != OURS else ():
            by_task = differences(curves[OURS], theirs, trial)
            if not by_task:
                continue
            cells = np.hstack(list(by_task.values()))
            ours, other = cells.mean(axis=1)
            shown = "too few seeds"
            if min(rows.shape[1] for rows in by_task.values()) >= FEWEST_SEEDS:
                shown = "{:+.4f} to {:+.4f}".format(*interval(by_task))
            lines.append(
                f"| {method} | {cells.shape[1]} | {trial} | {other:.4f} | {ours:.4f} | {ours - other:+.4f} | {shown} |"
            )
    return "\n".join(lines)


def by_task(curves: dict[str, dict[tuple[str, int], np.ndarray]], trial: int) -> str:
    """Markdown: mean regret of every method on every task after `trial` trials, over its own cells."""
    methods = list(curves)
    lines = [f"| task, {trial} trials | " + " | ".join(methods) + " |", "|---" * (len(methods) + 1) + "|"]
    for task in [task for task in REPORTED if any(name == task for name, _ in curves[OURS])]:
        row = []
        for method in methods:
            values = [c[trial - 1] for (name, _), c in curves[method].items() if name == task and len(c) >= trial]
            row.append(f"{np.mean(values):.4f}" if values else "")
        lines.append(f"| {task} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def costs(folder: Path) -> str:
    """Markdown: median milliseconds of a suggestion, over the cells of each method."""
    lines = ["| method | after 50 trials, ms | after 100, ms |", "|---|---|---|"]
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        cells = [cell for task, seeds in record["cells"].items() if task in REPORTED for cell in seeds.values()]
        row = []
        for trial in ("50", "100"):
            times = [cell["milliseconds"][trial] for cell in cells if trial in cell["milliseconds"]]
            row.append(f"{np.median(times):.1f}" if times else "")
        lines.append(f"| {record['method']} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def plot(curves: dict[str, dict[tuple[str, int], np.ndarray]], folder: Path) -> None:
    """Mean regret over the number of trials: all tasks together, and each alone; each method over its own cells."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    tasks = [task for task in REPORTED if any(name == task for name, _ in curves[OURS])]
    shown = {
        method: cells
        for method, cells in curves.items()
        if min(sum(name == task for name, _ in cells) for task in tasks) >= FEWEST_SEEDS
    }

    def draw(axes: Any, task: str | None) -> None:
        for (method, cells), colour, style in zip(shown.items(), COLOURS, cycle(STYLES), strict=False):
            chosen = [c for (name, _), c in cells.items() if task in {None, name}]
            if not chosen:
                continue
            length = min(len(c) for c in chosen)
            mean = np.mean([c[:length] for c in chosen], axis=0)
            width = 2.2 if method == OURS else 1.3
            name = "BayesSearchCV" if method == OURS else method
            label = f"{name}, {len(chosen)} cells"
            drawn = "-" if method == OURS else style
            axes.plot(np.arange(1, length + 1), mean, drawn, label=label, color=colour, linewidth=width)
        axes.set_yscale("log")
        axes.set_xlabel("trials")

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    draw(axes, None)
    axes.set_ylabel("mean normalised regret")
    axes.legend(frameon=False)
    figure.savefig(folder / "regret.png", dpi=110)
    figure, grid = plt.subplots(3, 5, figsize=(15, 8), layout="constrained", sharex=True)
    for axes, task in zip(grid.flat, tasks, strict=False):
        draw(axes, task)
        axes.set_title(task)
    for axes in grid[:, 0]:
        axes.set_ylabel("normalised regret")
    for axes in list(grid.flat)[len(tasks) :]:
        axes.axis("off")
    grid.flat[-1].legend(*grid.flat[0].get_legend_handles_labels(), loc="center", frameon=False)
    figure.savefig(folder / "regret_by_task.png", dpi=80)


def main() -> None:
    """Print the tables, draw the plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, default=HERE / "records")
    parser.add_argument("--plots", type=Path, help="also draw the curves into this folder (needs matplotlib)")
    options = parser.parse_args()
    curves = load(options.records)
    known = {task for cells in curves.values() for task, _ in cells}
    if missing := [task for task in REPORTED if task not in known]:
        print(f"Left out, for want of a reference (see reference.py) or of cells: {', '.join(missing)}\n")
    print(table(curves), by_task(curves, 50), by_task(curves, 100), costs(options.records), sep="\n\n")
    if options.plots:
        plot(curves, options.plots)


if __name__ == "__main__":
    main()
