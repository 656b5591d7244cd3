"""How soon a search has BayesSearchCV's final score that is told, for nothing, what an amount of resource says.

    python docs/benchmarks/fidelity/told.py [--seeds 8] [--curves 250] [--tasks boosting ...] [--cache DIR]

On the emulated models of `emulate.py`. Of 20,000 random candidates the 60 with the best noise-free score at 9, 27 or
all 81 units are known beforehand and cost nothing; they are evaluated with full resource, in random order, folds
pruned. A search that selects by the scores at as little resource pays for them and knows them less well, so it can only
be better if it learns how they mislead. Told of 81 units, there is nothing left to find but a draw as lucky as
BayesSearchCV's.

The seconds to the target, the best score of BayesSearchCV's 50 trials, as a multiple of the seconds that BayesSearchCV
takes to it: geometric means over the seeds, and how many have it within the time of all 50 trials; one that has not
counts at that time.
"""

from __future__ import annotations

import statistics
import warnings

import numpy as np
from emulate import LEVELS, Emulator, emulators, options_of, run, search
from searches import quiet
from threadpoolctl import threadpool_limits

from sksearch.pruning import PairedRule
from sksearch.samplers.fixed import FixedSampler
from sksearch.schedulers.full import FullScheduler
from sksearch.trials import Params

TOLD = (9, 27, 81)
N_CANDIDATES = 20_000
N_BEST = 60

Row = tuple[float, bool]
"""Our seconds over those of BayesSearchCV, and whether the target was reached."""


def best_candidates(emulator: Emulator, n_resources: int) -> list[Params]:
    """The best of many random ones, by their noise-free score at an amount of resource."""
    rng = np.random.default_rng(0)
    candidates = [emulator.space.sample(rng) for _ in range(N_CANDIDATES)]
    values = emulator.values(candidates, LEVELS.index(n_resources))
    return [candidates[position] for position in np.argsort(-values)[:N_BEST]]


def compared(emulator: Emulator, seeds: int) -> dict[int, list[Row]]:
    """By the amount of which the search is told, one row for each seed."""
    told = {amount: best_candidates(emulator, amount) for amount in TOLD}
    rows: dict[int, list[Row]] = {amount: [] for amount in TOLD}
    for seed in range(seeds):
        most, full, _ = search(emulator, seed, None)
        target = max(score for _, score in full)
        theirs = next(when for when, score in full if score >= target)
        order = np.random.default_rng(seed).permutation(N_BEST)
        for amount, candidates in told.items():
            sampler = FixedSampler([candidates[position] for position in order])
            _, ours, _ = run(emulator, seed, FullScheduler(sampler, N_BEST), PairedRule.of)
            reached = next((when for when, score in ours if score >= target and when <= most), None)
            rows[amount].append(((most if reached is None else reached) / theirs, reached is not None))
    return rows


def shown(rows: list[Row]) -> str:
    """A cell of the table."""
    return f"{statistics.geometric_mean(ratio for ratio, _ in rows):.2f} ({sum(has for _, has in rows)}/{len(rows)})"


def main() -> None:
    """Print a line for each model."""
    options = options_of(__doc__)
    quiet()
    warnings.simplefilter("ignore")
    everything: dict[int, list[Row]] = {amount: [] for amount in TOLD}
    print("| model | " + " | ".join(f"told of {amount} units" for amount in TOLD) + " |\n|" + "---|" * (1 + len(TOLD)))
    with threadpool_limits(1):
        for name, emulator in emulators(options):
            rows = compared(emulator, options.seeds)
            print(f"| {name} | " + " | ".join(map(shown, rows.values())) + " |", flush=True)
            for amount, some in rows.items():
                everything[amount] += some
    if len(options.tasks) > 1:
        print("| all | " + " | ".join(map(shown, everything.values())) + " |")


if __name__ == "__main__":
    main()
