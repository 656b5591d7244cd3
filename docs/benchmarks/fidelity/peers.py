"""Other libraries' schedulers of growing trials, behind one interface; imported where they are used.

A space is a dict of names to `Real`, `Integer` or a list of values.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any, Protocol

from sklearn.model_selection import ParameterSampler

Params = dict[str, Any]

RUNGS = (1, 3, 9, 27, 81)
MOST = RUNGS[-1]


class Peer(Protocol):
    """Starts trials and stops them. Scores are to be maximised."""

    def start(self, number: int) -> Params:
        """Parameters of the next trial, and its number among all."""
        ...

    def report(self, number: int, amount: int, score: float | None) -> bool:
        """What a trial has scored with so many units (None: it failed); whether it is to go on."""
        ...


class Optuna:
    """TPESampler with HyperbandPruner."""

    def __init__(self, space: dict[str, Any], first: Params, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._trials = space, {}
        self._states = optuna.trial.TrialState
        self._study = optuna.create_study(
            study_name=f"seed {seed}",  # its hash deals trials to brackets
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=MOST, reduction_factor=3),
        )
        self._study.enqueue_trial(
            {
                name: values.index(first[name]) if isinstance(values, list) else first[name]
                for name, values in space.items()
                if name in first
            }
        )

    def start(self, number: int) -> Params:
        """See Peer."""
        trial = self._trials[number] = self._study.ask()
        return {name: self._suggest(trial, name, values) for name, values in self._space.items()}

    def _suggest(self, trial: Any, name: str, values: Any) -> Any:
        if isinstance(values, list):
            return values[trial.suggest_categorical(name, list(range(len(values))))]
        suggest = trial.suggest_int if isinstance(values.low, int) else trial.suggest_float
        return suggest(name, values.low, values.high, log=values.prior == "log-uniform")

    def report(self, number: int, amount: int, score: float | None) -> bool:
        """See Peer."""
        trial = self._trials[number]
        if score is None:
            self._study.tell(trial, state=self._states.FAIL)
            return False
        trial.report(score, amount)
        if amount >= MOST:
            self._study.tell(trial, score)
            return False
        if trial.should_prune():
            self._study.tell(trial, state=self._states.PRUNED)
            return False
        return True


class SyneTune:
    """ASHA, driven without Syne Tune's backend: it stops trials and resumes none."""

    def __init__(self, space: dict[str, Any], first: Params, seed: int) -> None:
        from syne_tune.optimizer.baselines import ASHA

        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        first = next(iter(ParameterSampler(space, 1, random_state=seed))) | first  # it must be complete
        point = {
            name: str(values.index(first[name])) if isinstance(values, list) else first[name]
            for name, values in space.items()
        }
        self._space, self._trials = space, {}
        self._scheduler = ASHA(
            {name: self._domain(values) for name, values in space.items()},
            metric="score",
            time_attr="amount",
            max_t=MOST,
            do_minimize=False,
            random_seed=seed,
            points_to_evaluate=[point],
        )

    def _domain(self, values: Any) -> Any:
        from syne_tune import config_space

        if isinstance(values, list):
            return config_space.choice([str(position) for position in range(len(values))])
        scale = "log" if values.prior == "log-uniform" else ""
        kind = "randint" if isinstance(values.low, int) else "uniform"
        return getattr(config_space, scale + kind)(values.low, values.high)

    def start(self, number: int) -> Params:
        """See Peer."""
        from syne_tune.backend.trial_status import Trial

        trial = Trial(number, self._scheduler.suggest().config, dt.datetime.now(tz=dt.UTC))
        self._trials[number] = trial
        self._scheduler.on_trial_add(trial)
        return {
            name: values[int(trial.config[name])] if isinstance(values, list) else trial.config[name]
            for name, values in self._space.items()
        }

    def report(self, number: int, amount: int, score: float | None) -> bool:
        """See Peer."""
        from syne_tune.optimizer.scheduler import SchedulerDecision

        if score is None:
            self._scheduler.on_trial_error(self._trials[number])
            return False
        decision = self._scheduler.on_trial_result(self._trials[number], {"score": score, "amount": amount})
        return bool(decision == SchedulerDecision.CONTINUE)


PEERS: dict[str, Callable[[dict[str, Any], Params, int], Peer]] = {"optuna": Optuna, "syne-tune": SyneTune}
