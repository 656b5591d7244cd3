"""Independent draws from the search space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sksearch.gp.maximize import keys, unseen
from sksearch.samplers.design import check_initial_params, complete
from sksearch.samplers.points import EncodedTrials
from sksearch.space import Space
from sksearch.trials import History, Params

_ENUMERATED = 4096
"""Largest finite space of which the points left over are listed."""
_DRAWS = 100


@dataclass
class RandomSampler:
    """Suggest `initial_params`, then draws that depend on nothing but the number of the trial.

    Parameters that were tried are not suggested again in a space of at most 4096 points; it is
    exhausted when all were. In larger spaces a draw is repeated up to a hundred times to avoid them.

    Parameters
    ----------
    space : Space
    initial_params : sequence of dicts, default=()
        Tried first, in order. A dict may leave names out: they are drawn at random.

    Examples
    --------
    >>> from sksearch.space import Space
    >>> sampler = RandomSampler(Space.parse({"C": [1.0, 10.0, 100.0]}, argument="param_distributions"))
    >>> sampler.suggest(History(), np.random.default_rng(0))["C"] in [1.0, 10.0, 100.0]
    True
    """

    space: Space
    initial_params: Sequence[Params] = ()
    _initial: list[Params] = field(init=False, repr=False, compare=False)
    _points: EncodedTrials = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._initial = check_initial_params(self.space, self.initial_params)
        self._points = EncodedTrials(self.space)

    def suggest(self, history: History, rng: np.random.Generator) -> Params | None:
        """The next draw; None when every point of a finite space was suggested."""
        infinite = math.isinf(self.space.size)  # then hardly a draw comes twice, and some may have no coordinates
        seen = frozenset() if infinite else frozenset(keys(self._points.of(history)))
        number = len(history.trials)
        if number < len(self._initial):
            tried = [trial.params for trial in history.trials]
            params = complete(self.space, self._initial[number], tried, rng, seen=seen)
            if params is not None:
                return params
        for _ in range(_DRAWS):
            params = self.space.sample(rng)
            if infinite or keys(self.space.encode(params)[None])[0] not in seen:
                return params
        if self.space.size > _ENUMERATED:
            return params
        left = unseen(self.space.enumerate(), seen)
        return self.space.decode(left[rng.integers(len(left))]) if len(left) else None
