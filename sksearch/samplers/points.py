"""Trials as points of the search space."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sksearch.gp.features import Array
from sksearch.space import Space
from sksearch.trials import History


@dataclass
class EncodedTrials:
    """The points of all trials of a history; remembered, for quantiles of scipy's distributions are slow.

    >>> from sksearch.trials import Evaluation, Trial
    >>> history = History()
    >>> history.asked(Evaluation(Trial(0, {"C": 1.0})))
    >>> EncodedTrials(Space.parse({"C": [0.1, 1.0, 10.0]}, argument="search_spaces")).of(history)
    array([[0.5]])
    """

    space: Space
    _known: dict[int, tuple[Any, Array]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, history: History) -> Array:
        """(t, d) of all trials, in their order."""
        points = np.empty((len(history.trials), self.space.n_columns))
        for trial in history.trials:
            known = self._known.get(trial.number)
            if known is None or known[0] is not trial.params:
                known = trial.params, self.space.encode(trial.params)
                self._known[trial.number] = known
            points[trial.number] = known[1]
        return points
