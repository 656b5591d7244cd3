"""Simulated learning curves and a simulated clock: regret, cost to reach a score, and the time of workers that is used.

    python docs/benchmarks/fidelity/simulate.py [--seeds 10] [--workers 1 4 16 64] [--curves correlated ...] [--jobs 2]
        [--tables regret cost used] [--methods "ASHA, model" ...]

A worker trains one unit in one second, give or take a lognormal factor of the trial (sigma 0.5), and is given its next
evaluation at once; promoted trials go on where they paused. The budget grows with the workers: 143 trials, the default
plan, or 36 for each worker if that is more.

- *regret*: the value at full resource, without luck, of the trial that would be selected (the best score among the
  highest resource reached), relative to the median of the space; 1 before anything was scored.
- *cost*: worker-seconds, idle ones among them, until a trial with full resource scores what "full, model" scores best
  in the end, as a multiple of what "full, model" took to find it. A search that never does counts at all it took. The
  other searches may spend as many units, random draws five times and peers twice as many.
- *used*: the share of the workers' time that is spent training, until nine tenths of the units are trained. With
  `--top` trials at the top of the plan for each worker, and random candidates, of which it does not depend. "on
  arrival" is what `random_state=None` does, "in order" what an int does: outcomes are delivered in the order of
  asking, and at most as many evaluations as there are workers are under way or wait for delivery. An evaluation is one
  job, or `--folds` side by side, as in a search.

"published ASHA" takes early scores at their word.
"""

from __future__ import annotations

import argparse
import heapq
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
from curves import CURVES, MOST, NAMES, SPACE
from peers import PEERS, RUNGS, Peer
from threadpoolctl import threadpool_limits

from sksearch.samplers.bayes import BayesSampler
from sksearch.samplers.random import RandomSampler
from sksearch.schedulers.brackets import Bracket, asynchronous_brackets, plan, synchronous_brackets
from sksearch.schedulers.full import FullScheduler
from sksearch.schedulers.hyperband import AshaScheduler, HyperbandScheduler
from sksearch.schedulers.protocol import Scheduler
from sksearch.space import Space
from sksearch.trials import Evaluation, History, Outcome, Trial

METHODS = ("ASHA, model", "published ASHA, model", "ASHA, random", "Hyperband, model", "full, model", "full, random")
TARGET = "full, model"
PATIENCE = {"full, random": 5, **dict.fromkeys(PEERS, 2)}
"""How many times the budget a search may spend until it has the target."""


@dataclass(slots=True)
class PeerScheduler:
    """A peer as a scheduler: what it lets go on comes before new trials."""

    peer: Peer
    n_units: int
    """New trials are started until so many are trained."""
    _n_read: int = 0
    _spent: int = 0
    _going_on: deque[Evaluation] = field(default_factory=deque)

    def ask(self, history: History, rng: np.random.Generator) -> Evaluation | None:
        """See Scheduler."""
        for outcome in history.outcomes[self._n_read :]:
            evaluation, amount = outcome.evaluation, outcome.evaluation.n_resources or 0
            self._spent += amount - ([0, *RUNGS])[evaluation.rung]
            if self.peer.report(evaluation.trial.number, amount, outcome.score):
                rung = evaluation.rung + 1
                self._going_on.append(Evaluation(evaluation.trial, n_resources=RUNGS[rung], rung=rung))
        self._n_read = len(history.outcomes)
        if self._going_on:
            return self._going_on.popleft()
        if self._spent >= self.n_units:
            return None
        number = len(history.trials)
        return Evaluation(Trial(number, self.peer.start(number)), n_resources=RUNGS[0])

    def done(self, history: History) -> bool:
        """See Scheduler; nobody asks."""
        return not history.pending and not self._going_on and self._spent >= self.n_units


@dataclass(frozen=True, slots=True)
class Setting:
    """What is simulated beside the search itself."""

    n_workers: int = 1
    n_trials: int = 143
    in_order: bool = False
    n_folds: int = 1
    patience: bool = False
    """Whether searches get what `PATIENCE` says."""

    @property
    def n_units(self) -> int:
        """The budget."""
        return plan(asynchronous_brackets(1, MOST, 3, n_candidates=self.n_trials)).n_resources


def enough_trials(n_workers: int, top: float | None = None) -> int:
    """Trials of a plan with `top` places at full resource for each worker; None: 36 trials for each worker."""
    if top is None:
        return max(143, 36 * n_workers)
    n_trials = 143
    while asynchronous_brackets(1, MOST, 3, n_candidates=n_trials)[0].rungs[-1].n_trials < top * n_workers:
        n_trials = int(1.05 * n_trials)
    return n_trials


def make(method: str, setting: Setting, seed: int) -> Scheduler:
    """Sampler and scheduler of a search with about the budget of the setting."""
    times = PATIENCE.get(method, 1) if setting.patience else 1
    if method in PEERS:
        return PeerScheduler(PEERS[method](SPACE, {}, seed), times * setting.n_units)
    schedule, kind = method.split(", ")
    brackets: tuple[Bracket, ...] = ()
    n_trials = times * setting.n_units // MOST
    if schedule != "full":
        make_brackets = asynchronous_brackets if "ASHA" in schedule else synchronous_brackets
        brackets = make_brackets(1, MOST, 3, n_candidates=setting.n_trials)
        n_trials = setting.n_trials
    space = Space.parse(SPACE, argument="param_distributions")
    model = kind == "model"
    sampler = BayesSampler(space, n_trials, n_workers=setting.n_workers) if model else RandomSampler(space, [])
    if schedule == "full":
        return FullScheduler(sampler, n_trials)
    if schedule == "Hyperband":
        return HyperbandScheduler(sampler, brackets)
    return AshaScheduler(sampler, brackets, robust=schedule == "ASHA")


class Workers:
    """A clock, and workers that run the folds of evaluations."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self._setting, self._seed = setting, seed
        self._jobs: deque[tuple[int, float]] = deque()
        self._running: list[tuple[float, int, float, int]] = []
        self._left: list[int] = []
        self._work: list[tuple[Evaluation, int]] = []
        self._reached: dict[int, int] = {}
        self.clock = 0.0
        self.spans: list[tuple[float, float]] = []
        """(start, end) of each job that has ended."""

    @property
    def wanting(self) -> bool:
        """Whether a worker has nothing to do, when all jobs are given out."""
        while self._jobs and len(self._running) < self._setting.n_workers:
            number, time = self._jobs.popleft()
            heapq.heappush(self._running, (self.clock + time, len(self.spans) + len(self._running), time, number))
        return len(self._running) < self._setting.n_workers

    def submit(self, evaluation: Evaluation) -> None:
        """Take an evaluation, job by job."""
        number, units = evaluation.trial.number, (evaluation.n_resources or MOST)
        cost = units - self._reached.get(number, 0)
        self._reached[number] = units
        time = cost * np.random.default_rng([self._seed, number]).lognormal(0.0, 0.5)
        self._jobs.extend([(len(self._work), time / self._setting.n_folds)] * self._setting.n_folds)
        self._work.append((evaluation, cost))
        self._left.append(self._setting.n_folds)

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing is to be run."""
        return self.wanting and not self._running

    def next_done(self) -> tuple[int, Evaluation, int] | None:
        """Wait for a job: number, evaluation and units if it was the last one of an evaluation."""
        self.clock, _, time, number = heapq.heappop(self._running)
        self.spans.append((self.clock - time, self.clock))
        self._left[number] -= 1
        return (number, *self._work[number]) if self._left[number] == 0 else None

    def used(self, until: float) -> float:
        """Share of the time up to then."""
        starts, ends = np.array([*self.spans, *((end - time, end) for end, _, time, _ in self._running)]).T
        busy = np.clip(np.minimum(ends, until) - starts, 0.0, None).sum()
        return float(busy / (self._setting.n_workers * until))


def run(method: str, name: str, setting: Setting, seed: int) -> dict[str, Any]:
    """One search.

    (units spent, regret) whenever the selected trial changes, (worker-seconds, score) of each full evaluation, units,
    worker-seconds and trials in all, and the share of time used until nine tenths of the units were spent.
    """
    curves = CURVES[name]
    best, median = bounds(name)
    scheduler = make(method, setting, seed)
    history, workers = History(), Workers(setting, seed)
    selected: tuple[int, float, int] = (0, -np.inf, -1)
    track: list[tuple[float, float]] = []
    full: list[tuple[float, float]] = []
    spent: list[tuple[float, int]] = [(0.0, 0)]
    waiting: dict[int, Outcome] = {}
    while True:
        while workers.wanting and (not setting.in_order or len(history.pending) < setting.n_workers):
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(len(history.trials),)))
            evaluation = scheduler.ask(history, rng)
            if evaluation is None:
                break
            history.asked(evaluation)
            workers.submit(evaluation)
        if workers.idle:
            break
        done = workers.next_done()
        if done is None:
            continue
        number, evaluation, cost = done
        units, params = evaluation.n_resources or MOST, evaluation.trial.params
        score = curves.score(params, units, seed)
        waiting[number] = Outcome(evaluation=evaluation, folds=(), score=score)
        while (position := len(history.outcomes) if setting.in_order else number) in waiting:
            history.told(waiting.pop(position))
        spent.append((workers.clock, spent[-1][1] + cost))
        if units == MOST:
            full.append((setting.n_workers * workers.clock, score))
        if (units, score) > selected[:2]:
            selected = (units, score, evaluation.trial.number)
            track.append((spent[-1][1], (best - curves.value(params)) / (best - median)))
    most = spent[-1][1]
    return {
        "track": track,
        "full": full,
        "units": most,
        "seconds": setting.n_workers * workers.clock,
        "used": workers.used(next(when for when, units in spent if units >= 0.9 * most)),
        "trials": len(history.trials),
    }


@lru_cache
def bounds(name: str) -> tuple[float, float]:
    """The best value of a dense search, polished, and the median of the space."""
    from scipy.optimize import minimize

    curves, rng = CURVES[name], np.random.default_rng(0)
    points = rng.random((4000, len(NAMES)))
    losses = np.array([curves.loss(point, MOST) for point in points])
    starts = points[np.argsort(losses)[:5]]
    polished = [
        minimize(lambda x: curves.loss(np.clip(x, 0, 1), MOST), start, method="Nelder-Mead").fun for start in starts
    ]
    return -min(polished), -float(np.median(losses))


def after(track: list[tuple[float, float]], units: float) -> float:
    """Regret of what was selected after so many units; 1, the median of the space, before the first."""
    known = [regret for spent, regret in track if spent <= units]
    return known[-1] if known else 1.0


def print_regrets(pool: ProcessPoolExecutor, options: argparse.Namespace, n_workers: int) -> None:
    """The first table."""
    setting = Setting(n_workers, enough_trials(n_workers))
    checkpoints = [setting.n_units // 8, setting.n_units // 4, setting.n_units // 2, 2 * setting.n_units]
    names = " | ".join([*(f"after {units} units" for units in checkpoints[:-1]), "in the end"])
    print(f"| curves | search, {n_workers} workers | {names} | units | trials |")
    print("|---" * (len(checkpoints) + 4) + "|")
    for name in options.curves:
        for method in [method for method in options.methods if method in METHODS]:
            results = list(pool.map(partial(run, method, name, setting), range(options.seeds)))
            row = " | ".join(f"{np.mean([after(r['track'], units) for r in results]):.3f}" for units in checkpoints)
            units, trials = (np.mean([r[key] for r in results]) for key in ("units", "trials"))
            print(f"| {name} | {method} | {row} | {units:.0f} | {trials:.0f} |", flush=True)


def cost(result: dict[str, Any], target: float) -> tuple[float, bool]:
    """Worker-seconds until the target was reached, and whether it was."""
    when = next((seconds for seconds, score in result["full"] if score >= target), None)
    return (result["seconds"], False) if when is None else (when, True)


def print_costs(pool: ProcessPoolExecutor, options: argparse.Namespace, n_workers: int) -> None:
    """The second table."""
    setting = Setting(n_workers, enough_trials(n_workers), patience=True)
    methods = [method for method in options.methods if method != TARGET]
    print(f"| cost of the target, {n_workers} workers | " + " | ".join(methods) + " |")
    print("|---" * (len(methods) + 1) + "|")
    logs: dict[str, list[float]] = {method: [] for method in methods}
    reached = dict.fromkeys(methods, 0)
    for name in options.curves:
        seeds = range(options.seeds)
        targets = list(pool.map(partial(run, TARGET, name, setting), seeds))
        row = []
        for method in methods:
            try:
                results = list(pool.map(partial(run, method, name, setting), seeds))
            except ImportError as error:
                row.append(f"left out: {error}")
                continue
            finals = [max(score for _, score in result["full"]) for result in targets]
            theirs = [cost(result, final)[0] for result, final in zip(targets, finals, strict=True)]
            ours = [cost(result, final) for result, final in zip(results, finals, strict=True)]
            ratios = [np.log(seconds / other) for (seconds, _), other in zip(ours, theirs, strict=True)]
            logs[method] += ratios
            reached[method] += sum(found for _, found in ours)
            row.append(f"{np.exp(np.mean(ratios)):.2f} ({sum(found for _, found in ours)}/{len(ours)})")
        print(f"| {name} | " + " | ".join(row) + " |", flush=True)
    row = [f"{np.exp(np.mean(logs[m])):.2f} ({reached[m]}/{len(logs[m])})" if logs[m] else "" for m in methods]
    print("| all | " + " | ".join(row) + " |", flush=True)


def print_used(pool: ProcessPoolExecutor, options: argparse.Namespace, n_workers: int) -> None:
    """The third table."""
    setting = Setting(n_workers, enough_trials(n_workers, options.top), n_folds=options.folds)
    n_trials, name = setting.n_trials, options.curves[0]
    print(f"| {n_workers} workers, {n_trials} trials, {setting.n_units} units | on arrival | in order |")
    print("|---|---|---|")
    for method in ("ASHA, random", "published ASHA, random", "Hyperband, random", "full, random"):
        row = []
        for in_order in (False, True):
            chosen = Setting(n_workers, n_trials, in_order=in_order, n_folds=options.folds)
            results = list(pool.map(partial(run, method, name, chosen), range(options.seeds)))
            row.append(f"{np.mean([result['used'] for result in results]):.3f}")
        print(f"| {method} | " + " | ".join(row) + " |", flush=True)


TABLES = {"regret": print_regrets, "cost": print_costs, "used": print_used}


def main() -> None:
    """Run all cells, print the tables for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--curves", nargs="+", choices=list(CURVES), default=list(CURVES))
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, *PEERS], default=[*METHODS, *PEERS])
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--top", type=float, default=4, help="trials with full resource for each worker, for `used`")
    parser.add_argument("--folds", type=int, default=1, help="jobs of an evaluation, for `used`")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    with ProcessPoolExecutor(options.jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        for table in options.tables:
            for n_workers in options.workers:
                TABLES[table](pool, options, n_workers)
                print()


if __name__ == "__main__":
    main()
