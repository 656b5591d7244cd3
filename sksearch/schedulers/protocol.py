"""What a scheduler is: it says which trial runs next, and with how much resource."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sksearch.trials import Evaluation, History


class Scheduler(Protocol):
    """Decides the next evaluation, given everything asked and told so far.

    Settings and a sampler; like the sampler, a function of the history. ::

        ask -> e;  history.asked(e);  ...;  history.told(outcome of e)
    """

    def ask(self, history: History, rng: np.random.Generator) -> Evaluation | None:
        """The next evaluation to run; None when nothing can start before the next outcome is told.

        None while nothing is pending means the search is over.
        """
        ...

    def done(self, history: History) -> bool:
        """Whether the planned work has all been asked (so the search ends as "budget")."""
        ...
