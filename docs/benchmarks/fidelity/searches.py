"""The searches whose cost is compared, each with its defaults, on one task until it has what it was sent for.

Everything is scored through one `Recorder`, so a method's evaluations at full resource, and the processor time at which
each was complete, are known in the same way for all. Only the search is timed: no refit.
"""

from __future__ import annotations

import bisect
import importlib.metadata
import itertools
import math
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from peers import PEERS, RUNGS
from sklearn.base import clone
from sklearn.metrics import get_scorer
from tasks import MOST, N_SPLITS, Params, Task

from sksearch import BayesSearchCV, HyperbandSearchCV, RandomizedSearchCV
from sksearch.resources import Fold

N_TRIALS = 50
"""Full trials of BayesSearchCV: its default."""


@dataclass
class Recorder:
    """A scorer that writes down what was scored, and when."""

    task: Task
    target: float = math.inf
    """The score that is to be reached."""
    least: float = 0.0
    """Seconds a repeated search is to have at least, whether it has reached the target or not."""
    most: float = math.inf
    """Seconds after which a repeated search is to give up."""
    full: list[tuple[float, float]] = field(default_factory=list)
    """(seconds, mean score) of each evaluation with full resource on all folds."""
    params: list[Params] = field(default_factory=list)
    """Of these."""
    amounts: dict[int, int] = field(default_factory=dict)
    """Complete evaluations by units of resource."""

    def __post_init__(self) -> None:
        self._scorer = get_scorer(self.task.scoring)
        self._open: dict[tuple[Any, ...], list[float]] = {}
        self.start = time.process_time()

    def __call__(self, model: Any, X: Any, y: Any) -> float:
        """As a scorer is called."""
        score = float(self._scorer(model, X, y))
        known = model.get_params()
        params = {name: known[name] for name in self.task.space}
        amount = self.task.amount(model)
        scores = self._open.setdefault((amount, *map(str, params.values())), [])
        scores.append(score)
        if len(scores) == N_SPLITS:
            self.amounts[amount] = self.amounts.get(amount, 0) + 1
            if amount == MOST:
                self.full.append((self.seconds, statistics.fmean(scores)))
                self.params.append(params)
            scores.clear()
        return score

    @property
    def seconds(self) -> float:
        """Processor time of this process since the start."""
        return time.process_time() - self.start

    @property
    def enough(self) -> bool:
        """Whether a search that can be stopped is to stop."""
        reached = any(score >= self.target for _, score in self.full)
        return self.seconds >= self.most or (reached and self.seconds >= self.least)


Search = Callable[[Task, Recorder, int], None]


# --- ours, and scikit-learn's ---------------------------------------------------------------------------------------


def bayes(task: Task, recorder: Recorder, seed: int) -> None:
    """BayesSearchCV, every trial with full resource (but folds are pruned, its default)."""
    search = BayesSearchCV(
        task.make(),
        task.space,
        n_iter=N_TRIALS,
        scoring=recorder,
        cv=task.splitter(seed),
        refit=False,
        random_state=seed,
    )
    search.fit(*task.data())


def hyperband(task: Task, recorder: Recorder, seed: int, **settings: Any) -> None:
    """HyperbandSearchCV, its default plan."""
    search = HyperbandSearchCV(
        task.make(),
        task.space,
        resource=task.resource,
        scoring=recorder,
        cv=task.splitter(seed),
        refit=False,
        random_state=seed,
        **settings,
    )
    search.fit(*task.data())


def hyperband_large(task: Task, recorder: Recorder, seed: int) -> None:
    """HyperbandSearchCV with as many candidates as have no more units in their plan than BayesSearchCV has."""

    def units(n_candidates: int) -> int:
        search = HyperbandSearchCV(task.make(), task.space, resource=task.resource, n_candidates=n_candidates)
        rungs = search.plan(*task.data())
        below = [0, *(rung["n_resources"] for rung in rungs)]
        return sum(rung["n_trials"] * (rung["n_resources"] - less) for rung, less in zip(rungs, below, strict=False))

    # the first with more, less one
    n_candidates = bisect.bisect_right(range(1, N_TRIALS * MOST), N_TRIALS * MOST, key=units)
    hyperband(task, recorder, seed, n_candidates=n_candidates)


def asha_random(task: Task, recorder: Recorder, seed: int) -> None:
    """HyperbandSearchCV with candidates at random."""
    hyperband(task, recorder, seed, sampler="random")


def published(task: Task, recorder: Recorder, seed: int) -> None:
    """HyperbandSearchCV with the published synchronous brackets, and the model."""
    hyperband(task, recorder, seed, schedule="hyperband")


def random(task: Task, recorder: Recorder, seed: int) -> None:
    """RandomizedSearchCV (ours, which draws what scikit-learn's draws), more and more trials."""
    for part in itertools.count():
        search = RandomizedSearchCV(
            task.make(),
            task.space,
            n_iter=N_TRIALS,
            scoring=recorder,
            cv=task.splitter(seed),
            refit=False,
            random_state=1000 * seed + part,
        )
        search.fit(*task.data())
        if recorder.enough:
            return


def halving(task: Task, recorder: Recorder, seed: int) -> None:
    """scikit-learn's HalvingRandomSearchCV over the same resource, again and again with other candidates."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV

    for part in itertools.count():
        search = HalvingRandomSearchCV(
            task.make(),
            task.space,
            resource=task.parameter,
            max_resources=MOST,
            scoring=recorder,
            cv=task.splitter(seed),
            refit=False,
            return_train_score=False,  # it scores training rows, too, otherwise
            random_state=1000 * seed + part,
        )
        search.fit(*task.data())
        if recorder.enough:
            return


# --- peers ----------------------------------------------------------------------------------------------------------


class Folds:
    """The models of one trial, one for each fold, which grow in step as HyperbandSearchCV's do."""

    def __init__(self, task: Task, recorder: Recorder, params: Params, seed: int) -> None:
        self._X, self._y = task.data()
        self._splits = list(task.splitter(seed).split(self._X, self._y))
        self._models = [clone(task.make()).set_params(**params) for _ in self._splits]
        self._growth, self._classes = task.growth(), task.classes
        self._recorder, self._seed, self._trained = recorder, seed, 0

    def grow(self, amount: int) -> float:
        """Train all to so many units; their mean score."""
        scores = []
        for fold, (train, test) in enumerate(self._splits):
            rows = Fold(self._X[train], self._y[train], {}, (self._seed, fold), self._classes)
            model = self._growth.fit(self._models[fold], rows, n_resources=amount, trained=self._trained)
            self._models[fold] = model
            scores.append(self._recorder(self._models[fold], self._X[test], self._y[test]))
        self._trained = amount
        return statistics.fmean(scores)


def own_values(task: Task) -> Params:
    """The estimator's own parameters, as far as they lie in the space: our searches try them first."""
    known = task.make().get_params()
    return {
        name: known[name]
        for name, values in task.space.items()
        if (known[name] in values if isinstance(values, list) else _contains(values, known[name]))
    }


def _contains(values: Any, value: Any) -> bool:
    return isinstance(value, (int, float)) and values.dimension.contains(value)


def peer(task: Task, recorder: Recorder, seed: int, name: str) -> None:
    """A peer that starts trials, and after each rung lets them go on or not."""
    scheduler = PEERS[name](task.space, own_values(task), seed)
    for number in itertools.count():
        if recorder.enough:
            return
        folds = Folds(task, recorder, scheduler.start(number), seed)
        for amount in RUNGS:
            try:
                score = folds.grow(amount)
            except ValueError:  # a model that diverged
                score = None
            if not scheduler.report(number, amount, score):
                break


# search, what it is made of, seconds it may take as a multiple of BayesSearchCV's where it goes on until it is there
SEARCHES: dict[str, tuple[Search, tuple[str, ...], float]] = {
    "bayes": (bayes, (), 1),
    "hyperband": (hyperband, (), 1),
    "random": (random, (), 1),
    "halving": (halving, (), 1),
    "optuna": (partial(peer, name="optuna"), ("optuna",), 1),
    "syne-tune": (partial(peer, name="syne-tune"), ("syne-tune",), 1),
    "hyperband, large": (hyperband_large, (), 1),
    "hyperband, random": (asha_random, (), 1),
    "hyperband, published": (published, (), 1),
}


def versions(name: str) -> dict[str, str]:
    """Of the packages a method and the tasks are made of."""
    packages = {"scikit-learn", "lightgbm", "sksearch", *SEARCHES[name][1]}
    known = {package.metadata["Name"]: package.version for package in importlib.metadata.distributions()}
    return {package: known[package] for package in sorted(packages & known.keys())}


def quiet() -> None:
    """Models that have not converged are what a search over resources is made of."""
    warnings.simplefilter("ignore")
