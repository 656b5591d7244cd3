"""Candidates known before the search starts: grids, and scikit-learn's own random draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sksearch.trials import History, Params


@dataclass(frozen=True, slots=True)
class FixedSampler:
    """Suggest the candidates of a list, in its order.

    Examples
    --------
    >>> FixedSampler([{"C": 1.0}, {"C": 10.0}]).suggest(History(), np.random.default_rng(0))
    {'C': 1.0}
    """

    candidates: Sequence[Params]

    def suggest(self, history: History, rng: np.random.Generator) -> Params | None:
        """The next candidate of the list; None after the last."""
        number = len(history.trials)
        return self.candidates[number] if number < len(self.candidates) else None
