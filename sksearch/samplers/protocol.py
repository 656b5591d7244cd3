"""What a sampler is: it says what to try next."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sksearch.trials import History, Params


class Sampler(Protocol):
    """Suggests parameters for the next trial, given everything asked and told so far.

    A sampler is a function of the history: it keeps no state that `suggest` depends on (a cache of
    something computed from the history is fine; dropping it changes speed only). Trials that were
    asked and not yet told are in `history.pending`, so two calls without an outcome in between see
    each other::

        suggest -> A;  history.asked(A);  suggest -> B, knowing that A is being evaluated
    """

    def suggest(self, history: History, rng: np.random.Generator) -> Params | None:
        """Parameters of trial number `len(history.trials)`, or None when the space is exhausted.

        Parameters
        ----------
        history : History
            Not changed by the call.
        rng : numpy.random.Generator
            The only source of randomness; seeded by the number of the trial.
        """
        ...
