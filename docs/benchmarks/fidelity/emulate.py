"""What a setting of HyperbandSearchCV costs, on learning curves of real models with noise, interpolated.

    python docs/benchmarks/fidelity/emulate.py [--seeds 8] [--curves 250] [--tasks boosting ...] [--cache DIR]

Of each model of `tasks.DEVELOPMENT` random candidates are trained to 1, 3, 9, 27 and 81 units on three folds, with
their processor time (some minutes a model; kept in the cache). Between them a Gaussian process for each amount gives
scores and times; the noise of a trial is that of one of its ten neighbours, as far as the process does not explain it.
So a search takes seconds, and many seeds tell settings apart that a few real searches cannot.

Against BayesSearchCV with 50 trials, both with folds pruned: the time that a whole search takes as a share of its time
(geometric mean), and the true value of what is selected, as a difference in units of its final lead over the median of
the space: from what it had after the same time, after half of that time, and from what it had in the end; with standard
errors.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from searches import N_TRIALS, own_values, quiet
from sklearn.base import clone
from sklearn.metrics import get_scorer
from tasks import DEVELOPMENT, MOST, N_SPLITS, Params, Task
from threadpoolctl import threadpool_limits

from sksearch.execution import Delivery, Desk, JobPool, run_search
from sksearch.gp.features import feature_groups
from sksearch.gp.maximize import Domain
from sksearch.gp.regression import Design, GaussianProcess, fit
from sksearch.gp.transform import HalfRankWarp
from sksearch.pruning import PairedRule, RuleOf, SpareUnpromoted
from sksearch.resources import Fold
from sksearch.samplers.bayes import BayesSampler
from sksearch.schedulers.brackets import asynchronous_brackets
from sksearch.schedulers.full import FullScheduler
from sksearch.schedulers.hyperband import AshaScheduler
from sksearch.schedulers.protocol import Scheduler
from sksearch.space import Space
from sksearch.trials import History, Job

LEVELS = (1, 3, 9, 27, 81)
LOWEST = (1, 3, 9)
"""Settings of `min_resources` that are compared."""
_NEIGHBOURS = 10
_INTERPOLATION = 0.3
"""Share of a trial's residual, common to its folds, that is taken for noise; the rest is what interpolation misses."""

Array = np.ndarray
Incumbents = list[tuple[float, float]]
"""(seconds, true value) whenever the best observed score at full resource changes."""
Full = list[tuple[float, float]]
"""(seconds, observed score) of each complete trial at full resource."""


def learning_curves(task: Task, n_curves: int) -> tuple[list[Params], Array, Array]:
    """Random candidates, their scores (n, levels, folds), nan where a fit failed, and seconds from level to level."""
    X, y = task.data()
    space, rng = Space.parse(task.space, argument="param_distributions"), np.random.default_rng(0)
    candidates = [space.sample(rng) for _ in range(n_curves)]
    growth, classes = task.growth(), task.classes
    scorer = get_scorer(task.scoring)
    scores, seconds = np.full((n_curves, len(LEVELS), N_SPLITS), np.nan), np.zeros((n_curves, len(LEVELS), N_SPLITS))
    for row, params in enumerate(candidates):
        for fold, (train, test) in enumerate(task.splitter(0).split(X, y)):
            model, trained = clone(task.make()).set_params(**params), 0
            for level, amount in enumerate(LEVELS):
                start = time.process_time()
                try:
                    rows = Fold(X[train], y[train], {}, (0, fold), classes)
                    model = growth.fit(model, rows, n_resources=amount, trained=trained)
                    scores[row, level, fold] = scorer(model, X[test], y[test])
                except ValueError:  # a model that diverged
                    break
                seconds[row, level, fold], trained = time.process_time() - start, amount
    return candidates, scores, seconds


@dataclass
class Surface:
    """A number over the space: known at (n, p) features, a Gaussian process between them."""

    features: Array
    groups: Array
    values: Array

    def __post_init__(self) -> None:
        self.warp = HalfRankWarp.fit(self.values)
        self._z = self.warp.transform(self.values)
        self._hyperparameters, _ = fit(self.features, self.groups, self._z)
        self._process = self._given(np.ones(len(self._z), dtype=bool))

    def _given(self, known: Array) -> GaussianProcess:
        return Design.of(self.features[known], self.groups, self._hyperparameters).given(self._z[known])

    def __call__(self, features: Array) -> Array:
        """At (m, p) features."""
        return self.warp.inverse(self._process.posterior(features)[0])

    def left_out(self) -> Array:
        """(n,) what the others lead to expect, by five parts."""
        found, part = np.empty(len(self._z)), np.arange(len(self._z)) % 5
        for number in range(5):
            inside = part == number
            found[inside] = self.warp.inverse(self._given(~inside).posterior(self.features[inside])[0])
        return found


class Emulator:
    """A model whose fits cost nothing."""

    def __init__(self, task: Task, curves: tuple[list[Params], Array, Array]) -> None:
        candidates, scores, seconds = curves
        self.space, self.first = Space.parse(task.space, argument="param_distributions"), own_values(task)
        self._domain = Domain(self.space.n_categories, self.space.level_units, self.space.snap)
        self.features = self._domain.features(np.array([self.space.encode(params) for params in candidates]))
        self.groups = feature_groups(self.space.n_categories)
        means = scores.mean(axis=2)
        self.scores = [Surface(self.features, self.groups, column) for column in means.T]
        times = np.log(np.maximum(seconds.mean(axis=2), 1e-4))
        self._log_seconds = [Surface(self.features, self.groups, column) for column in times.T]
        residuals = np.nan_to_num(scores - np.column_stack([s.left_out() for s in self.scores])[:, :, None])
        common = residuals.mean(axis=2, keepdims=True)
        typical = np.median(np.abs(common), axis=0)
        folds = residuals - common
        self._effects = np.median(folds, axis=0)
        self._noise = folds - self._effects + _INTERPOLATION * np.clip(common, -3 * typical, 3 * typical)
        self.median = float(np.nanmedian(means[:, -1]))
        self._known: dict[tuple[str, int], tuple[Array, Array, Array]] = {}

    def at(self, candidates: Sequence[Params], surface: Surface) -> Array:
        """A number for each of many candidates."""
        features = self._domain.features(np.array([self.space.encode(params) for params in candidates]))
        return np.concatenate([surface(part) for part in np.array_split(features, 1 + len(features) // 500)])

    def of(self, params: Params, seed: int) -> tuple[Array, Array, Array]:
        """True values at each level, observed scores (levels, folds), and seconds of a fold from level to level."""
        key = repr(sorted(params.items())), seed
        if key not in self._known:
            at = self._domain.features(self.space.encode(params)[None])
            values, logs = (np.array([surface(at)[0] for surface in s]) for s in (self.scores, self._log_seconds))
            rng = np.random.default_rng(int(hashlib.sha256(repr(key).encode()).hexdigest()[:12], 16))
            neighbours = np.argsort(np.square(self.features - at).sum(axis=1))[:_NEIGHBOURS]
            noise = self._noise[rng.choice(neighbours)][:, rng.permutation(N_SPLITS)]
            self._known[key] = values, values[:, None] + noise + self._effects, np.exp(logs)
        return self._known[key]


@dataclass
class Clock:
    """Runs the folds of a search at the emulator's prices."""

    emulator: Emulator
    seed: int
    seconds: float = 0.0
    _reached: dict[tuple[int, int], int] = field(default_factory=dict)
    _done: dict[int, float] = field(default_factory=dict)

    def __call__(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """As a pool calls it."""
        return [{"test_scores": self._score(job), "fit_time": 1.0, "score_time": 0.0} for job in jobs]

    def _score(self, job: Job) -> float:
        number, amount = job.evaluation.trial.number, job.evaluation.n_resources or MOST
        before = self._reached.get((number, job.fold), 0)
        self._reached[number, job.fold] = amount
        _, scores, seconds = self.emulator.of(job.evaluation.trial.params, self.seed)
        steps = [level for level, units in enumerate(LEVELS) if before < units <= amount]
        # a fit at once has the cost of a call only once: about what the first unit costs more than one of the next two
        once = min(max(2 * seconds[0] - seconds[1], 0.0), seconds[0]) * (len(steps) - 1)
        self.seconds += max(float(seconds[steps].sum()) - once, 1e-4)
        if amount == MOST:
            self._done[number] = self.seconds
        return float(scores[LEVELS.index(amount), job.fold])

    def observed(self, history: History) -> tuple[Full, Incumbents]:
        """The complete trials at full resource; and what was selected, and when."""
        full: Full = []
        incumbents: Incumbents = []
        best = -np.inf
        for told in history.outcomes:
            trial = told.evaluation.trial
            if (told.evaluation.n_resources or MOST) != MOST or told.status != "ok":
                continue
            full.append((self._done[trial.number], told.score))
            if told.score > best:
                best = told.score
                incumbents.append((full[-1][0], float(self.emulator.of(trial.params, self.seed)[0][-1])))
        return full, incumbents


def search(emulator: Emulator, seed: int, lowest: int | None) -> tuple[float, Full, Incumbents]:
    """Seconds, complete trials and incumbents of HyperbandSearchCV from `lowest` units up; None: of BayesSearchCV."""
    space, first = emulator.space, [emulator.first]
    if lowest is None:
        sampler = BayesSampler(space, N_TRIALS, initial_params=first)
        return run(emulator, seed, FullScheduler(sampler, N_TRIALS), PairedRule.of)
    brackets = asynchronous_brackets(lowest, MOST, 3)
    n_trials = sum(bracket.rungs[0].n_trials for bracket in brackets)
    asha = AshaScheduler(BayesSampler(space, n_trials, initial_params=first), brackets)
    return run(emulator, seed, asha, SpareUnpromoted(asha))


def run(emulator: Emulator, seed: int, scheduler: Scheduler, rule: RuleOf) -> tuple[float, Full, Incumbents]:
    """Seconds, complete trials and incumbents of a search with pruned folds."""
    history, clock = History(), Clock(emulator, seed)
    desk = Desk(
        scheduler,
        history,
        n_folds=N_SPLITS,
        objective=float,
        entropy=seed,
        delivery=Delivery.in_order(1),
        rule_of=rule,
    )
    with JobPool(clock, n_jobs=1) as pool:
        run_search(scheduler, pool, history, desk)
    return clock.seconds, *clock.observed(history)


def at(incumbents: Incumbents, seconds: float, otherwise: float) -> float:
    """The true value of what was selected after so many seconds."""
    known = [value for when, value in incumbents if when <= seconds]
    return known[-1] if known else otherwise


def compared(emulator: Emulator, seeds: int) -> dict[int, list[tuple[float, float, float, float]]]:
    """By lowest amount, one row for each seed: share of the time, and the three differences."""
    rows: dict[int, list[tuple[float, float, float, float]]] = {lowest: [] for lowest in LOWEST}
    for seed in range(seeds):
        most, _, theirs = search(emulator, seed, None)
        final = theirs[-1][1]
        for lowest in LOWEST:
            spent, _, ours = search(emulator, seed, lowest)
            lead = max(final - emulator.median, 1e-9)
            equal, half = (
                (at(ours, share * spent, emulator.median) - at(theirs, share * spent, emulator.median)) / lead
                for share in (1.0, 0.5)
            )
            rows[lowest].append((spent / most, equal, half, (ours[-1][1] - final) / lead))
    return rows


def shown(rows: Sequence[tuple[float, float, float, float]]) -> str:
    """The columns of a table."""
    shares, *differences = zip(*rows, strict=True)
    error = [f"{np.mean(d):+.3f} ({np.std(d) / np.sqrt(len(d)):.3f})" for d in differences]
    return " | ".join([f"{statistics.geometric_mean(shares):.2f}", *error])


def options_of(description: str | None) -> argparse.Namespace:
    """What is said on the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--curves", type=int, default=250)
    parser.add_argument("--tasks", nargs="+", choices=list(DEVELOPMENT), default=list(DEVELOPMENT))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "sksearch-curves")
    return parser.parse_args()


def emulators(options: argparse.Namespace) -> Iterator[tuple[str, Emulator]]:
    """Those of the tasks that were asked for; a task of which the library is missing says so, as a line of a table."""
    options.cache.mkdir(exist_ok=True)
    for name in options.tasks:
        path = options.cache / f"{name}-{options.curves}.pkl"
        if not path.exists():
            try:
                curves = learning_curves(DEVELOPMENT[name], options.curves)
            except ImportError as error:
                print(f"| {name} | | left out: {error} |")
                continue
            path.write_bytes(pickle.dumps(curves))
        yield name, Emulator(DEVELOPMENT[name], pickle.loads(path.read_bytes()))  # noqa: S301 - written above


def main() -> None:
    """Print a line for each model and setting."""
    options = options_of(__doc__)
    quiet()
    warnings.simplefilter("ignore")
    everything: dict[int, list[tuple[float, float, float, float]]] = {lowest: [] for lowest in LOWEST}
    print(
        "| model | from | of the time | after that time | after half of it | from the end |\n|---|---|---|---|---|---|"
    )
    with threadpool_limits(1):
        for name, emulator in emulators(options):
            for lowest, rows in compared(emulator, options.seeds).items():
                everything[lowest] += rows
                print(f"| {name} | {lowest} | {shown(rows)} |", flush=True)
    for lowest, rows in everything.items() if len(options.tasks) > 1 else ():
        print(f"| all | {lowest} | {shown(rows)} |")


if __name__ == "__main__":
    main()
