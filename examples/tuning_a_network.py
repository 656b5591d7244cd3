"""One network, five searches: random, successive halving, ASHA, Bayesian, and ASHA with a model.

The experiments of the chapter on hyperparameter optimisation in "Dive into Deep Learning" (d2l.ai), with a network of
scikit-learn on handwritten digits, two workers, and about the same number of passes over the data for each search.

    python examples/tuning_a_network.py                     a table, in about two minutes
    python examples/tuning_a_network.py --plots figures     three figures besides, into that folder (needs matplotlib)
    python examples/tuning_a_network.py --torch             a convolutional network of PyTorch instead (needs skorch)
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import loguniform, uniform
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split
from sklearn.neural_network import MLPClassifier

from sksearch import BayesSearchCV, HyperbandSearchCV, RandomizedSearchCV

WORKERS = 2
FIGURES = ("incumbent.png", "learning_curves.png", "workers.png")
# Okabe and Ito's palette, which is safe for the colour-blind
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#D55E00")
STYLES = (":", "--", "-", "-.", "-")


@dataclass(frozen=True)
class Budget:
    """How much each search may do."""

    passes: int
    """Passes over the training rows that make a trial complete: `max_resources`."""
    complete: int
    """Trials of the searches that complete every trial."""
    halving: int
    """Trials that synchronous successive halving starts: 81 of them cost 297 passes."""
    asynchronous: int
    """Trials that ASHA starts."""


FULL = Budget(passes=81, complete=20, halving=405, asynchronous=200)  # about 1500 passes each
CONVOLUTIONAL = Budget(passes=27, complete=12, halving=108, asynchronous=54)  # about 300 passes, each a longer one
QUICK = Budget(passes=9, complete=3, halving=9, asynchronous=9)


# --- two networks, one space ----------------------------------------------------------------------------------------


class Network(NamedTuple):
    """What is tuned."""

    at_once: Any
    """Estimator whose `fit` makes all passes."""
    by_pass: Any
    """Estimator whose `partial_fit` makes one pass."""
    names: tuple[str, str, str, str]
    """What it calls the learning rate, the momentum, the batch size and the number of hidden units."""

    @property
    def space(self) -> dict[str, Any]:
        """What is searched."""
        values = (loguniform(1e-4, 1.0), uniform(0.0, 0.99), [16, 32, 64, 128, 256], [8, 16, 32, 64, 128])
        return dict(zip(self.names, values, strict=True))


def perceptron(passes: int) -> Network:
    """One hidden layer; `fit` never stops early, so that it makes as many passes as `partial_fit` is called."""
    network = MLPClassifier(solver="sgd", max_iter=passes, tol=0.0, n_iter_no_change=passes, random_state=0)
    return Network(network, network, ("learning_rate_init", "momentum", "batch_size", "hidden_layer_sizes"))


def convolutional(passes: int) -> Network:
    """A convolution, pooling and a hidden layer in PyTorch; skorch makes it an estimator."""
    import torch
    from skorch import NeuralNetClassifier

    class Convolutional(torch.nn.Module):
        def __init__(self, n_hidden: int = 32) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Unflatten(1, (1, 8, 8)),
                torch.nn.Conv2d(1, 8, kernel_size=3, padding=1),
                torch.nn.ReLU(),
                torch.nn.MaxPool2d(2),
                torch.nn.Flatten(),
                torch.nn.Linear(8 * 4 * 4, n_hidden),
                torch.nn.ReLU(),
                torch.nn.Linear(n_hidden, 10),
            )

        def forward(self, X: Any) -> Any:
            return self.layers(X)

    network = NeuralNetClassifier(
        Convolutional,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        max_epochs=1,
        train_split=None,  # the search holds rows out
        iterator_train__shuffle=True,
        predict_nonlinearity="auto",  # softmax, as the criterion wants the numbers before it
        classes=list(range(10)),
        verbose=0,
    )
    at_once = NeuralNetClassifier(**{**network.get_params(deep=False), "max_epochs": passes})
    return Network(at_once, network, ("lr", "optimizer__momentum", "batch_size", "module__n_hidden"))


# --- the five searches ----------------------------------------------------------------------------------------------


def searches(network: Network, budget: Budget, random_state: int | None) -> dict[str, Any]:
    """Unfitted searches by name.

    A single validation split, as in the chapter; `cv` may be any splitter. With `random_state=None` a result counts as
    soon as it is there. An int makes the search repeatable, for which a worker may have to wait for another.
    """
    holdout = StratifiedShuffleSplit(n_splits=1, test_size=1 / 3, random_state=0)
    shared = {"cv": holdout, "n_jobs": WORKERS, "random_state": random_state}
    growing = {"resource": "partial_fit", "max_resources": budget.passes, **shared}
    space = network.space
    return {
        "random search": RandomizedSearchCV(network.at_once, space, n_iter=budget.complete, **shared),
        "successive halving": HyperbandSearchCV(
            network.by_pass,
            space,
            schedule="hyperband",
            brackets=1,
            sampler="random",
            n_candidates=budget.halving,
            **growing,
        ),
        "ASHA": HyperbandSearchCV(
            network.by_pass, space, sampler="random", n_candidates=budget.asynchronous, **growing
        ),
        "Bayesian": BayesSearchCV(network.at_once, space, n_iter=budget.complete, **shared),
        "ASHA with a model": HyperbandSearchCV(
            network.by_pass, space, sampler="bayes", n_candidates=budget.asynchronous, **growing
        ),
    }


# --- what `history_` says -------------------------------------------------------------------------------------------


class Spent(NamedTuple):
    """What a search did."""

    trials: int
    complete: int
    """Trials that had all passes."""
    passes: int
    """Passes over the data; a promoted trial goes on where it paused."""
    seconds: float
    """Until the last evaluation ended; the refit is not counted."""
    busy: float
    """Share of the workers' time in which they fitted and scored."""


def spent(history: Sequence[dict[str, Any]], passes: int) -> Spent:
    """Sum up a history; an evaluation without `n_resources` had all `passes`."""
    reached: dict[int, int] = {}
    for entry in history:
        amount = entry["n_resources"] or passes
        reached[entry["trial"]] = max(amount, reached.get(entry["trial"], 0))
    seconds = max(entry["end_time"] for entry in history)
    working = sum(entry["fit_time"] + entry["score_time"] for entry in history)
    n_complete = sum(amount == passes for amount in reached.values())
    return Spent(len(reached), n_complete, sum(reached.values()), seconds, working / (WORKERS * seconds))


def incumbent(history: Sequence[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """Seconds at which the lowest validation error fell, and what it fell to; at whatever resource it was measured."""
    seconds: list[float] = []
    errors: list[float] = []
    for entry in history:  # in the order of completion
        error = 1.0 - entry["score"]
        if math.isfinite(error) and (not errors or error < errors[-1]):
            seconds.append(entry["end_time"])
            errors.append(error)
    return seconds, errors


def learning_curves(history: Sequence[dict[str, Any]]) -> dict[int, tuple[list[int], list[float]]]:
    """By trial: the passes after which it was evaluated, and its validation error there."""
    curves: dict[int, tuple[list[int], list[float]]] = {}
    for entry in history:
        if math.isfinite(entry["score"]):
            amounts, errors = curves.setdefault(entry["trial"], ([], []))
            amounts.append(entry["n_resources"])
            errors.append(1.0 - entry["score"])
    return curves


def lanes(history: Sequence[dict[str, Any]]) -> Iterator[tuple[int, float, float, dict[str, Any]]]:
    """For each evaluation a worker, when it began, how long it took, and the entry.

    With one split an evaluation is one fit, and began `fit_time + score_time` before its end. (`start_time` says when
    it was sent: where nothing has to be learned first, that is before a worker is free.) Which worker it was does not
    matter; here it is the one that has been free for longest.
    """

    def began(entry: dict[str, Any]) -> float:
        return float(entry["end_time"] - entry["fit_time"] - entry["score_time"])

    free_since = [0.0] * WORKERS
    for entry in sorted(history, key=began):
        worker = free_since.index(min(free_since))
        free_since[worker] = entry["end_time"]
        yield worker, began(entry), entry["end_time"] - began(entry), entry


# --- figures --------------------------------------------------------------------------------------------------------


def new_figure(n_rows: int, n_columns: int, height: float, **keywords: Any) -> tuple[Any, Any]:
    """A figure on white, which can be read on a dark page too, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, height), layout="constrained", facecolor="white")
    return figure, figure.subplots(n_rows, n_columns, **keywords)


def error_axis(axes: Any) -> None:
    """A logarithmic axis for a share of rows, in percent."""
    axes.set_yscale("log")
    ticks = [0.02, 0.03, 0.05, 0.1, 0.2, 0.4, 0.9]
    axes.set_yticks(ticks, [f"{100 * tick:.0f} %" for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def plot_incumbent(histories: dict[str, Any]) -> Any:
    """The lowest validation error so far over wall-clock time."""
    figure, axes = new_figure(1, 1, 4.2)
    for (name, history), colour, style in zip(histories.items(), COLOURS, STYLES, strict=True):
        seconds, errors = incumbent(history)
        end = max(entry["end_time"] for entry in history)
        axes.step([*seconds, end], [*errors, errors[-1]], style, where="post", color=colour, label=name, linewidth=1.8)
        axes.plot(end, errors[-1], "o", color=colour, markersize=5)
    error_axis(axes)
    axes.set_xlabel("wall-clock time (seconds)")
    axes.set_ylabel("validation error of the incumbent")
    axes.legend(frameon=False, title="a dot: the search is over", alignment="left")
    return figure


def plot_learning_curves(histories: dict[str, Any], passes: int) -> Any:
    """Validation error over passes, one line a trial; it stops where the trial was stopped."""
    growing = {name: history for name, history in histories.items() if history[0]["n_resources"] is not None}
    figure, panels = new_figure(1, len(growing), 3.6, sharex=True, sharey=True)
    amounts = sorted({entry["n_resources"] for history in growing.values() for entry in history})
    for axes, (name, history) in zip(panels, growing.items(), strict=True):
        curves = learning_curves(history)
        complete = [trial for trial, (at, _) in curves.items() if at[-1] == passes]
        for trial, (at, errors) in curves.items():
            if trial not in complete:
                axes.plot(at, errors, "-", color="#56B4E9", linewidth=0.6, alpha=0.6)
                axes.plot(at[-1], errors[-1], ".", color="#0072B2", markersize=3)
        for trial in complete:
            axes.plot(*curves[trial], "-o", color="#D55E00", linewidth=1.3, markersize=3)
        axes.set_title(f"{name}: {len(complete)} of {len(curves)}\ntrials complete", fontsize="medium")
        axes.set_xscale("log")
        error_axis(axes)
        axes.set_xticks(amounts, [str(amount) for amount in amounts])
        axes.minorticks_off()
        axes.set_xlabel("passes over the data")
    panels[0].set_ylabel("validation error")
    dot = {"marker": ".", "markerfacecolor": "#0072B2", "markeredgecolor": "#0072B2"}
    stopped = panels[0].plot([], [], "-", color="#56B4E9", **dot)
    finished = panels[0].plot([], [], "-o", color="#D55E00")
    labels = ["stopped at the dot", "complete"]
    figure.legend([*stopped, *finished], labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def plot_workers(histories: dict[str, Any], passes: int) -> Any:
    """What each worker did when: a bar for each evaluation, coloured by the resource it ended at."""
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    figure, panels = new_figure(len(histories), 1, 6.0, sharex=True)
    amounts = sorted({entry["n_resources"] or passes for history in histories.values() for entry in history})
    colours = dict(zip(amounts, colormaps["cividis"](np.linspace(0.95, 0.05, len(amounts))), strict=True))
    visible = 0.005 * max(entry["end_time"] for history in histories.values() for entry in history)
    for axes, (name, history) in zip(panels, histories.items(), strict=True):
        for worker, start, length, entry in lanes(history):
            colour, edge = colours[entry["n_resources"] or passes], 0.4 if length > visible else 0.0
            axes.barh(worker, length, left=start, height=0.8, color=colour, edgecolor="white", linewidth=edge)
        busy = spent(history, passes).busy
        axes.set_title(f"{name}: workers busy {busy:.0%} of the time", fontsize="medium", loc="left")
        axes.set_yticks(range(WORKERS), [f"worker {worker + 1}" for worker in range(WORKERS)])
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlim(left=0)
    panels[-1].set_xlabel("wall-clock time (seconds)")
    handles = [Patch(color=colours[amount]) for amount in amounts]
    labels = [str(amount) for amount in amounts]
    title = "trained until so many passes"
    figure.legend(handles, labels, title=title, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def save_figures(histories: dict[str, Any], passes: int, folder: Path) -> None:
    """Draw the figures into a folder, which is made if it is not there; 64 colours make small files."""
    from PIL import Image  # a requirement of matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    figures = (
        plot_incumbent(histories),
        plot_learning_curves(histories, passes),
        plot_workers(histories, passes),
    )
    for figure, name in zip(figures, FIGURES, strict=True):
        pixels = io.BytesIO()
        figure.savefig(pixels, format="png", dpi=110)
        Image.open(pixels).convert("RGB").quantize(64).save(folder / name, optimize=True)
        print(folder / name)


# --- the program ----------------------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    """The command line; what it asks for is installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw the figures into this folder")
    parser.add_argument("--torch", action="store_true", help="tune a convolutional network of PyTorch")
    parser.add_argument("--seed", type=int, help="make all searches repeatable; workers may then wait for each other")
    parser.add_argument("--quick", action="store_true", help="a few trials of a few passes, to see that all runs")
    options = parser.parse_args()
    for option, wanted, packages, extra in [
        ("plots", options.plots is not None, ["matplotlib"], "plot"),
        ("torch", options.torch, ["torch", "skorch"], "torch"),
    ]:
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        if wanted and missing:
            parser.error(f"--{option} needs {' and '.join(missing)}; in a clone: pip install '.[{extra}]'")
    return options


def start_workers(network: Network, X: Any, y: Any) -> None:
    """Have joblib start its processes, and them their imports, so that the first search does not pay for it."""
    HyperbandSearchCV(
        network.by_pass,
        network.space,
        resource="partial_fit",
        max_resources=1,
        n_candidates=8,
        sampler="random",
        cv=2,
        n_jobs=WORKERS,
        refit=False,
    ).fit(X, y)


def main() -> None:
    """Run every search on three quarters of the digits, and score its best network on the rest."""
    options = arguments()
    budget = QUICK if options.quick else CONVOLUTIONAL if options.torch else FULL
    network = (convolutional if options.torch else perceptron)(budget.passes)
    X, y = load_digits(return_X_y=True)
    X, y = (X / 16).astype(np.float32), y.astype(np.int64)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    warnings.simplefilter("ignore", ConvergenceWarning)  # `fit` is to make all passes, and no more
    start_workers(network, X_train, y_train)
    histories = {}
    print("search               trials  complete  passes  seconds  busy  validation score  held-out score")
    for name, search in searches(network, budget, options.seed).items():
        search.fit(X_train, y_train)
        histories[name] = search.history_
        sums = spent(search.history_, budget.passes)
        print(
            f"{name:19}  {sums.trials:6}  {sums.complete:8}  {sums.passes:6}  {sums.seconds:7.1f}  {sums.busy:4.0%}  "
            f"{search.best_score_:16.4f}  {search.score(X_test, y_test):14.4f}",
            flush=True,
        )
    if options.plots is not None:
        save_figures(histories, budget.passes, options.plots)


if __name__ == "__main__":
    main()
