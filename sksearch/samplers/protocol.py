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

    Outcomes that a search does not take at their word are left out of what it is given: those of small amounts of
    resource, while early scores mislead, and in brackets that begin with more. The next history may have fewer outcomes
    than the last one.
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
