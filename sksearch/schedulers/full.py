"""Every trial once, at full resource."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sksearch.samplers.protocol import Sampler
from sksearch.trials import Evaluation, History, Trial


@dataclass(frozen=True, slots=True)
class FullScheduler:
    """Start `n_trials` trials, each evaluated on all folds at once.

    Examples
    --------
    >>> from sksearch.samplers.fixed import FixedSampler
    >>> scheduler = FullScheduler(FixedSampler([{"C": 1.0}, {"C": 10.0}]), n_trials=1)
    >>> scheduler.ask(History(), np.random.default_rng(0)).trial.params
    {'C': 1.0}
    """

    sampler: Sampler
    n_trials: int | None = None
    """None: until the sampler is exhausted."""

    def ask(self, history: History, rng: np.random.Generator) -> Evaluation | None:
        """A new trial from the sampler, while the number of trials allows."""
        if self.done(history):
            return None
        params = self.sampler.suggest(history, rng)
        return None if params is None else Evaluation(Trial(len(history.trials), params))

    def done(self, history: History) -> bool:
        """Whether `n_trials` trials have been started."""
        return self.n_trials is not None and len(history.trials) >= self.n_trials
