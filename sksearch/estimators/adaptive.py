"""What the two model-based searches share: a parsed space, a start, and columns of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sksearch.estimators.base import Plan, Problem, SearchCV
from sksearch.execution import Delivery
from sksearch.results import ranks, trial_columns
from sksearch.samplers.design import check_initial_params, known_values
from sksearch.space import Space
from sksearch.trials import History, Outcome, Params


class AdaptiveSearchCV(SearchCV):
    """A search whose next trial depends on the outcomes so far."""

    def _delivery(self, problem: Problem, random_state: Any) -> Delivery:
        """Reproducible with a seed, never waiting without one."""
        return Delivery.on_arrival() if random_state is None else Delivery.in_order(problem.n_workers)

    def _start(self, space: Space, estimator: Any, n_trials: int) -> list[Params]:
        """The estimator's own parameters, as far as they lie in the space and room is left, then `initial_params`."""
        given = self.initial_params or []
        if isinstance(given, dict) or not all(isinstance(params, dict) for params in given):
            raise ValueError(f"initial_params must be a list of dicts of parameters, got {self.initial_params!r}.")
        n_given = len(check_initial_params(space, given))
        if n_given > n_trials:
            raise ValueError(
                f"initial_params has {n_given} entries, and the search at most {n_trials} trials: leave some out, or "
                "have it try more candidates."
            )
        own = known_values(space, estimator.get_params(deep=True))
        return [own, *given] if own and n_given < n_trials else list(given)

    def _more_columns(
        self,
        plan: Plan,  # noqa: ARG002 - a hook
        history: History,  # noqa: ARG002
        outcomes: Sequence[Outcome],
    ) -> dict[str, list[Any]]:
        return trial_columns(outcomes)

    def _rank(self, results: dict[str, Any], outcomes: Sequence[Outcome]) -> None:
        """Failed trials last, whatever `error_score` says; more resource before less."""
        reached = [self._reached(outcome) for outcome in outcomes]
        for key in [key for key in results if key.startswith("rank_test_")]:
            scores = np.asarray(results[key.replace("rank_", "mean_", 1)], dtype=np.float64)
            results[key] = ranks(outcomes, scores, reached)

    def _reached(self, outcome: Outcome) -> int:  # noqa: ARG002 - a hook
        """Resource that counts before the score; the same for all where nothing grows."""
        return 0
