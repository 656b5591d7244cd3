"""The searches under comparison, each with its defaults, behind one ask-and-tell interface.

Peers are imported where they are used: every method runs in an environment of its own (see `compare.py`). Every
method starts at the same point. Where a peer knows no conditional space it is given the best equivalent its users
have: Optuna and SMAC3 their own conditions, HEBO all parameters at once, scikit-optimize one optimiser for each dict,
asked in turn (its BayesSearchCV runs them one after the other).
"""

from __future__ import annotations

import importlib.metadata
import logging
import tempfile
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from tasks import Params, Task, branch_of, is_whole


class Method(Protocol):
    """Something that searches. Scores are to be maximised."""

    def ask(self) -> Params:
        """The next point."""
        ...

    def tell(self, params: Params, score: float, folds: list[float]) -> None:
        """What the last point gave: a number, the mean of the folds. No peer can be told more than the number."""
        ...


def categories(values: list[Any]) -> list[str]:
    """Names of the positions in a list, for peers whose categories are strings."""
    return [str(position) for position in range(len(values))]


def plain(value: Any) -> Any:
    """A number of NumPy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


class Random:
    """Independent draws."""

    packages = ("numpy",)

    def __init__(self, task: Task, first: Params, _n_trials: int, seed: int) -> None:
        self._task, self._first, self._rng = task, first, np.random.default_rng((seed, 1))

    def ask(self) -> Params:
        """See Method."""
        first, self._first = self._first, {}
        return first or self._task.draw(self._rng)

    def tell(self, params: Params, score: float, folds: list[float]) -> None:
        """See Method."""


class Sksearch:
    """The sampler of BayesSearchCV, seeded as the search seeds it."""

    packages = ("sksearch",)

    def __init__(self, task: Task, first: Params, n_trials: int, seed: int) -> None:
        from sksearch.samplers.bayes import BayesSampler
        from sksearch.space import Space
        from sksearch.trials import History

        space = Space.parse(task.space, argument="search_spaces", tuple_is_range=True)
        self._sampler = BayesSampler(space, n_trials, initial_params=[first])
        self._history, self._seed = History(), seed

    def ask(self) -> Params:
        """See Method."""
        number = len(self._history.trials)
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(number,)))
        params = self._sampler.suggest(self._history, rng)
        if params is None:
            raise RuntimeError("no task has a finite space.")
        return params

    def add(self, params: Params, score: float) -> None:
        """A trial that was not asked for."""
        self.tell(params, score, [score])

    def tell(self, params: Params, score: float, folds: list[float]) -> None:
        """See Method."""
        from sksearch.trials import Evaluation, Outcome, Trial

        evaluation = Evaluation(Trial(len(self._history.trials), params))
        self._history.asked(evaluation)
        fold_scores = tuple(folds) if len(folds) > 1 else ()
        self._history.told(Outcome(evaluation=evaluation, folds=(), score=score, fold_scores=fold_scores))


class Optuna:
    """A study with one of Optuna's samplers; a parameter carries the number of its branch unless all share it."""

    packages = ("optuna", "torch")

    def __init__(self, task: Task, first: Params, seed: int, sampler: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore")
        if sampler == "GPSampler":
            import torch

            torch.set_num_threads(1)
        self._study = optuna.create_study(direction="maximize", sampler=getattr(optuna.samplers, sampler)(seed=seed))
        self._branches = task.branches
        self._study.enqueue_trial(self._fixed(first))

    def _fixed(self, params: Params) -> dict[str, Any]:
        """Values by the names of the study."""
        position = branch_of(self._branches, params)
        values = {self._label(position, name): self._index(position, name, value) for name, value in params.items()}
        if len(self._branches) > 1:
            values["branch"] = position
        return {name: value for name, value in values.items() if value is not None}

    def _label(self, position: int, name: str) -> str:
        values = self._branches[position][name]
        common = all(branch.get(name) == values for branch in self._branches)
        return name if common else f"{name} {position}"

    def _index(self, position: int, name: str, value: Any) -> Any:
        """A category by its number; None for one that has no alternative."""
        values = self._branches[position][name]
        if not isinstance(values, list):
            return value
        return values.index(value) if len(values) > 1 else None

    def ask(self) -> Params:
        """See Method."""
        self._trial = trial = self._study.ask()
        position = 0
        if len(self._branches) > 1:
            position = trial.suggest_categorical("branch", list(range(len(self._branches))))
        return {name: self._suggest(position, name, values) for name, values in self._branches[position].items()}

    def _suggest(self, position: int, name: str, values: Any) -> Any:
        label = self._label(position, name)
        if isinstance(values, list):
            return values[self._trial.suggest_categorical(label, list(range(len(values)))) if len(values) > 1 else 0]
        suggest = self._trial.suggest_int if is_whole(values) else self._trial.suggest_float
        return suggest(label, values[0], values[1], log=len(values) > 2)

    def add(self, params: Params, score: float) -> None:
        """A trial that was not asked for."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
        from optuna.trial import create_trial

        position = branch_of(self._branches, params)
        values = self._fixed(params)
        distributions: dict[str, Any] = {}
        for name, choices in self._branches[position].items():
            label = self._label(position, name)
            if isinstance(choices, list):
                distributions[label] = CategoricalDistribution(list(range(len(choices))))
            else:
                kind = IntDistribution if is_whole(choices) else FloatDistribution
                distributions[label] = kind(choices[0], choices[1], log=len(choices) > 2)
        distributions["branch"] = CategoricalDistribution(list(range(len(self._branches))))
        distributions = {label: distributions[label] for label in values}
        self._study.add_trial(create_trial(params=values, distributions=distributions, value=score))

    def tell(self, params: Params, score: float, folds: list[float]) -> None:
        """See Method."""
        self._study.tell(self._trial, score)


class OptunaGP(Optuna):
    """Optuna's Gaussian process."""

    def __init__(self, task: Task, first: Params, _n_trials: int, seed: int) -> None:
        super().__init__(task, first, seed, "GPSampler")


class OptunaTPE(Optuna):
    """Optuna's default."""

    packages = ("optuna",)

    def __init__(self, task: Task, first: Params, _n_trials: int, seed: int) -> None:
        super().__init__(task, first, seed, "TPESampler")


class ScikitOptimize:
    """The optimiser that scikit-optimize's BayesSearchCV makes for each dict."""

    packages = ("scikit-optimize",)

    def __init__(self, task: Task, first: Params, _n_trials: int, seed: int) -> None:
        from skopt import Optimizer
        from skopt.space import Categorical, Integer, Real

        def dimension(values: Any) -> Any:
            if isinstance(values, list):
                return Categorical(range(len(values)))
            return (Integer if is_whole(values) else Real)(*values)

        warnings.simplefilter("ignore")
        self._branches, self._first = task.branches, first
        self._optimizers = [
            Optimizer([dimension(branch[name]) for name in sorted(branch)], random_state=seed + 1000 * position)
            for position, branch in enumerate(self._branches)
        ]
        self._n_asked = 0

    def ask(self) -> Params:
        """See Method."""
        if self._first:
            first, self._first = self._first, {}
            return first
        position = self._n_asked % len(self._branches)
        self._n_asked += 1
        branch = self._branches[position]
        point = self._optimizers[position].ask()
        return {
            name: branch[name][int(value)] if isinstance(branch[name], list) else plain(value)
            for name, value in zip(sorted(branch), point, strict=True)
        }

    def tell(self, params: Params, score: float, folds: list[float]) -> None:
        """See Method."""
        position = branch_of(self._branches, params)
        branch = self._branches[position]
        point = [
            branch[name].index(params[name]) if isinstance(branch[name], list) else params[name]
            for name in sorted(branch)
        ]
        self._optimizers[position].tell(point, -score)


class SMAC:
    """SMAC3's facade for hyperparameters (a random forest)."""

    packages = ("smac", "ConfigSpace")

    def __init__(self, task: Task, first: Params, n_trials: int, seed: int) -> None:
        from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, Integer
        from smac import HyperparameterOptimizationFacade, Scenario

        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore")
        self._branches = task.branches
        self._space = ConfigurationSpace(seed=seed)
        choice = None
        if len(self._branches) > 1:
            choice = Categorical("branch", categories(self._branches))
            self._space.add(choice)
        for position, branch in enumerate(self._branches):
            for name, values in branch.items():
                label = f"{name} {position}"
                if isinstance(values, list):
                    parameter: Any = Categorical(label, categories(values))
                else:
                    kind = Integer if is_whole(values) else Float
                    parameter = kind(label, values[:2], log=len(values) > 2)
                self._space.add(parameter)
                if choice is not None:
                    self._space.add(EqualsCondition(parameter, choice, str(position)))
        self._folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            self._space, n_trials=n_trials, deterministic=True, seed=seed, output_directory=self._folder.name
        )
        self._smac = HyperparameterOptimizationFacade(
            scenario, lambda _config, seed=0: float(seed), overwrite=True, logging_level=logging.ERROR
        )
        self._first = first

    def ask(self) -> Params:
        """See Method."""
        if self._first:
            first, self._first = self._first, {}
            return first
        self._info = self._smac.ask()
        values = dict(self._info.config)
        position = int(values.get("branch", 0))
        return {
            name: choices[int(values[f"{name} {position}"])]
            if isinstance(choices, list)
            else values[f"{name} {position}"]
            for name, choices in self._branches[position].items()
        }

    def tell(self, params: Params, score: float, folds: list[float]) -> None:
        """See Method."""
        from ConfigSpace import Configuration
        from smac.runhistory.dataclasses import TrialInfo, TrialValue

        info = getattr(self, "_info", None)
        if info is None:
            position = branch_of(self._branches, params)
            values = {
                f"{name} {position}": str(choices.index(params[name])) if isinstance(choices, list) else params[name]
                for name, choices in self._branches[position].items()
            }
            if len(self._branches) > 1:
                values["branch"] = str(position)
            info = TrialInfo(Configuration(self._space, values=values), seed=0)
        self._smac.tell(info, TrialValue(cost=-score))


class Hebo:
    """HEBO; a conditional space is given as all its parameters."""

    packages = ("HEBO", "torch", "gpytorch")

    def __init__(self, task: Task, first: Params, _n_trials: int, seed: int) -> None:
        import torch
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO

        torch.set_num_threads(1)
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - what HEBO draws from
        warnings.simplefilter("ignore")
        self._branches, self._first, self._seed = task.branches, first, seed
        columns: list[dict[str, Any]] = []
        if len(self._branches) > 1:
            columns.append({"name": "branch", "type": "cat", "categories": categories(self._branches)})
        for position, branch in enumerate(self._branches):
            for name, values in branch.items():
                label = f"{name} {position}"
                if isinstance(values, list):
                    if len(values) > 1:
                        columns.append({"name": label, "type": "cat", "categories": categories(values)})
                    continue
                kind = {(False, False): "num", (False, True): "pow", (True, False): "int", (True, True): "pow_int"}
                low, high, *prior = values
                columns.append({"name": label, "type": kind[is_whole(values), bool(prior)], "lb": low, "ub": high})
        self._columns = columns
        self._optimizer = HEBO(DesignSpace().parse(columns), scramble_seed=seed)

    def ask(self) -> Params:
        """See Method."""
        if self._first:
            first, self._first = self._first, {}
            return first
        self._asked = self._optimizer.suggest(n_suggestions=1)
        row = self._asked.iloc[0]
        position = int(row.get("branch", 0))
        params: Params = {}
        for name, values in self._branches[position].items():
            label = f"{name} {position}"
            if isinstance(values, list):
                params[name] = values[int(row[label])] if len(values) > 1 else values[0]
            else:
                params[name] = int(row[label]) if is_whole(values) else float(row[label])
        return params

    def tell(self, params: Params, score: float, folds: list[float]) -> None:
        """See Method."""
        import pandas as pd

        asked = getattr(self, "_asked", None)
        if asked is None:
            position = branch_of(self._branches, params)
            row = {column["name"]: column.get("lb", "0") for column in self._columns}
            for name, value in params.items():
                label = f"{name} {position}"
                if label in row:
                    choices = self._branches[position][name]
                    row[label] = str(choices.index(value)) if isinstance(choices, list) else value
            if "branch" in row:
                row["branch"] = str(position)
            asked = pd.DataFrame([row])
        self._optimizer.observe(asked, np.array([[-score]]))


METHODS: dict[str, Callable[[Task, Params, int, int], Method]] = {
    "random": Random,
    "sksearch": Sksearch,
    "optuna-gp": OptunaGP,
    "optuna-tpe": OptunaTPE,
    "scikit-optimize": ScikitOptimize,
    "smac": SMAC,
    "hebo": Hebo,
}


def versions(name: str) -> dict[str, str]:
    """Of the packages a method is made of."""
    packages = ("scikit-learn", *METHODS[name].packages)
    return {package: importlib.metadata.version(package) for package in packages}  # type: ignore[attr-defined]
