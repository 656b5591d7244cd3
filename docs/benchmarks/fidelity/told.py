"""How soon a search has BayesSearchCV's final score that is told, for nothing, what an amount of resource says.

    python docs/benchmarks/fidelity/told.py [--seeds 8] [--curves 250] [--tasks boosting ...] [--cache DIR]

On the emulated models of `emulate.py`. Of 20,000 random candidates the 60 with the best noise-free score at 9, 27 or
all 81 units, or with all units on a third of the rows, are known beforehand and cost nothing; they are evaluated with
full resource, in random order, folds pruned. A search that selects by the scores at as little resource pays for them
and knows them less well, so it can only be better if it learns how they mislead. Told of 81 units, there is nothing
left to find but a draw as lucky as BayesSearchCV's.

The seconds to the target, the best score of BayesSearchCV's 50 trials, as a multiple of the seconds that BayesSearchCV
takes to it: geometric means over the seeds, and how many have it within the time of all 50 trials; one that has not
counts at that time.
"""

from __future__ import annotations

import pickle
import statistics
import warnings
from pathlib import Path

import numpy as np
from emulate import LEVELS, Array, Emulator, Surface, emulators, options_of, run, search
from searches import quiet
from sklearn.base import clone
from sklearn.metrics import get_scorer
from tasks import DEVELOPMENT, MOST, N_SPLITS, Task
from threadpoolctl import threadpool_limits

from sksearch.pruning import PairedRule
from sksearch.resources import Fold, Samples
from sksearch.samplers.fixed import FixedSampler
from sksearch.schedulers.full import FullScheduler
from sksearch.trials import Params

TOLD = (9, 27, 81)
ROWS = "a third of the rows"
N_CANDIDATES = 20_000
N_BEST = 60

Row = tuple[float, bool]
"""Our seconds over those of BayesSearchCV, and whether the target was reached."""


def scores_on_fewer_rows(task: Task, candidates: list[Params]) -> Array:
    """(n, folds) scores of candidates with all units, trained on a third of the rows; nan where a fit failed."""
    X, y = task.data()
    growth, scorer = task.growth(), get_scorer(task.scoring)
    scores = np.full((len(candidates), N_SPLITS), np.nan)
    for row, params in enumerate(candidates):
        for number, (train, test) in enumerate(task.splitter(0).split(X, y)):
            samples = Samples(n_rows=len(train), stratify=task.classifies)
            rows = samples.rows(train, y, None, n_resources=len(train) // 3, seed=(0, number))
            model = clone(task.make()).set_params(**params)
            try:
                fold = Fold(X[rows], y[rows], {}, (0, number), task.classes)
                scores[row, number] = scorer(growth.fit(model, fold, n_resources=MOST, trained=0), X[test], y[test])
            except ValueError:  # a model that diverged
                continue
    return scores


def surfaces(emulator: Emulator, name: str, n_curves: int, cache: Path) -> dict[str, Surface]:
    """The noise-free scores that a search may be told."""
    path = cache / f"{name}-{n_curves}-rows.pkl"
    if not path.exists():
        rng = np.random.default_rng(0)  # the candidates of the emulator
        candidates = [emulator.space.sample(rng) for _ in range(n_curves)]
        path.write_bytes(pickle.dumps(scores_on_fewer_rows(DEVELOPMENT[name], candidates)))
    on_rows = pickle.loads(path.read_bytes()).mean(axis=1)  # noqa: S301 - written above
    by_units = {f"{amount} units": emulator.scores[LEVELS.index(amount)] for amount in TOLD}
    return by_units | {ROWS: Surface(emulator.features, emulator.groups, on_rows)}


def best_candidates(emulator: Emulator, scores: Surface) -> list[Params]:
    """The best of many random ones, by their noise-free score."""
    rng = np.random.default_rng(0)
    candidates = [emulator.space.sample(rng) for _ in range(N_CANDIDATES)]
    values = emulator.at(candidates, scores)
    return [candidates[position] for position in np.argsort(-values)[:N_BEST]]


def compared(emulator: Emulator, seeds: int, scores: dict[str, Surface]) -> dict[str, list[Row]]:
    """By what the search is told, one row for each seed."""
    told = {what: best_candidates(emulator, surface) for what, surface in scores.items()}
    rows: dict[str, list[Row]] = {what: [] for what in told}
    for seed in range(seeds):
        most, full, _ = search(emulator, seed, None)
        target = max(score for _, score in full)
        theirs = next(when for when, score in full if score >= target)
        order = np.random.default_rng(seed).permutation(N_BEST)
        for what, candidates in told.items():
            sampler = FixedSampler([candidates[position] for position in order])
            _, ours, _ = run(emulator, seed, FullScheduler(sampler, N_BEST), PairedRule.of)
            reached = next((when for when, score in ours if score >= target and when <= most), None)
            rows[what].append(((most if reached is None else reached) / theirs, reached is not None))
    return rows


def shown(rows: list[Row]) -> str:
    """A cell of the table."""
    return f"{statistics.geometric_mean(ratio for ratio, _ in rows):.2f} ({sum(has for _, has in rows)}/{len(rows)})"


def main() -> None:
    """Print a line for each model."""
    options = options_of(__doc__)
    quiet()
    warnings.simplefilter("ignore")
    columns = [*(f"{amount} units" for amount in TOLD), ROWS]
    everything: dict[str, list[Row]] = {what: [] for what in columns}
    print("| model | " + " | ".join(f"told of {what}" for what in columns) + " |\n|" + "---|" * (1 + len(columns)))
    with threadpool_limits(1):
        for name, emulator in emulators(options):
            rows = compared(emulator, options.seeds, surfaces(emulator, name, options.curves, options.cache))
            print(f"| {name} | " + " | ".join(map(shown, rows.values())) + " |", flush=True)
            for what, some in rows.items():
                everything[what] += some
    if len(options.tasks) > 1:
        print("| all | " + " | ".join(map(shown, everything.values())) + " |")


if __name__ == "__main__":
    main()
