"""What a history says about rungs: who is in them, who was promoted, and what was spent."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

from sksearch.schedulers.fidelity import add_score, least_trusted_level
from sksearch.trials import Evaluation, History, Outcome


@dataclass(slots=True)
class RungState:
    """Who is in a rung."""

    n_entered: int = 0
    """Trials asked to run here; one that comes again, for all folds, counts once."""
    n_told: int = 0
    """Those with an outcome, failed and pruned ones included."""
    n_pending: int = 0
    """Evaluations that run here."""
    ranking: list[tuple[float, int]] = field(default_factory=list)
    """(-score, trial number) of those with all folds: the best first, ties to the earlier trial."""
    judged: dict[int, float] = field(default_factory=dict)
    """Scores by number of the trials that did not fail here: those in the ranking, and pruned ones."""
    promoted: set[int] = field(default_factory=set)
    """Numbers of the trials asked to run in the next rung."""

    def waiting(self, best: int, *, at_least: int = 0) -> set[int]:
        """Trials among the `best` ones that were not promoted; the first `at_least` of those in any case."""
        kept: set[int] = set()
        for position, (_, trial) in enumerate(self.ranking):
            if position >= best and len(kept) >= at_least:
                break
            if trial not in self.promoted:
                kept.add(trial)
        return kept


@dataclass(slots=True)
class Spent:
    """What was started in a bracket, and at what cost."""

    trials: list[int] = field(default_factory=list)
    """Numbers, in the order of starting."""
    resumed: int = 0
    """Units of resource where promoted trials go on."""
    from_scratch: int = 0
    """Units of resource where they are fitted anew."""


class Ledger:
    """Rungs by (bracket, rung): a memo of a history, brought up to date by reading what is new in it."""

    def __init__(self) -> None:
        self._forget(None)

    def __reduce__(self) -> tuple[type[Ledger], tuple[()]]:
        """Copies and pickles start empty: a memo can always be made again."""
        return Ledger, ()

    def _forget(self, history: History | None) -> None:
        self._history = history
        self._n_evaluations = 0
        self._n_outcomes = 0
        self._rungs: dict[tuple[int, int], RungState] = {}
        self._levels: dict[int, dict[int, float]] = {}
        self._trusted_at = 0
        self._trusted: int | None = None
        self._last: dict[int, Evaluation] = {}
        self._complete: dict[tuple[int, int, int], Outcome] = {}
        self._spent: dict[int, Spent] = {}

    def read(self, history: History) -> Ledger:
        """Follow `history` up to now."""
        evaluations, outcomes = history.evaluations, history.outcomes
        behind = self._n_evaluations <= len(evaluations) and self._n_outcomes <= len(outcomes)
        if history is not self._history or not behind:
            self._forget(history)
        for position in range(self._n_evaluations, len(evaluations)):
            evaluation = evaluations[position]
            number, amount = evaluation.trial.number, evaluation.n_resources or 0
            spent, last = self.spent(evaluation.bracket), self._last.get(number)
            moved = last is not None and last.bracket != evaluation.bracket
            again = last is not None and _place(last) == _place(evaluation)
            state = self.rung(evaluation.bracket, evaluation.rung)
            state.n_pending += 1
            state.n_entered += not again
            spent.resumed += amount if again or moved else amount - self.reached(number)
            spent.from_scratch += amount
            if last is None:
                spent.trials.append(number)
            elif not again and not moved:
                self.rung(evaluation.bracket, evaluation.rung - 1).promoted.add(number)
            self._last[number] = evaluation
        for position in range(self._n_outcomes, len(outcomes)):
            outcome = outcomes[position]
            number = outcome.evaluation.trial.number
            state = self.rung(outcome.evaluation.bracket, outcome.evaluation.rung)
            state.n_pending -= 1
            state.n_told += number not in state.judged
            add_score(self._levels, outcome)
            if outcome.status == "failed":
                state.judged.pop(number, None)
            else:
                state.judged[number] = outcome.score
            if outcome.status == "ok":
                insort(state.ranking, (-outcome.score, number))
                self._complete[_place(outcome.evaluation)] = outcome
        self._n_evaluations, self._n_outcomes = len(evaluations), len(outcomes)
        return self

    def spent(self, bracket: int) -> Spent:
        """What a bracket has had."""
        return self._spent.setdefault(bracket, Spent())

    def reached(self, number: int) -> int:
        """Resource that a trial was given so far, 0 before it was started."""
        return (self._last[number].n_resources or 0) if number in self._last else 0

    def resting(self, below: int) -> set[int]:
        """Numbers of the trials that were scored, did not fail, and have had less than so much of the resource."""
        return {
            number
            for number, last in self._last.items()
            if number in self.rung(last.bracket, last.rung).judged and self.reached(number) < below
        }

    def bracket_of(self, number: int) -> int:
        """The bracket in which a trial ran last."""
        return self._last[number].bracket

    def placed(self, bracket: int, rung: int, place: int) -> Outcome | None:
        """Of the `place`-th best in a rung, from 1; None where there are not so many."""
        ranking = self.rung(bracket, rung).ranking
        if not 1 <= place <= len(ranking):
            return None
        _, number = ranking[place - 1]
        return self._complete[number, bracket, rung]

    def paused(self, number: int) -> Evaluation | None:
        """Where a trial waits; None while it runs, when it failed or was pruned, and before it was started."""
        last = self._last.get(number)
        return last if last is not None and _place(last) in self._complete else None

    def best_pruned(self, bracket: int, rung: int) -> int | None:
        """The trial with the largest score of those that have not had all folds and ran last here; None without any."""
        state = self.rung(bracket, rung)
        complete = {trial for _, trial in state.ranking}
        pruned = [
            (-score, trial)
            for trial, score in state.judged.items()
            if trial not in complete and _place(self._last[trial]) == (trial, bracket, rung)
        ]
        return min(pruned)[1] if pruned else None

    def trusted(self) -> int | None:
        """The amount of resource from which on scores can be trusted; None where nothing speaks against any."""
        if self._trusted_at != self._n_outcomes:
            self._trusted_at, self._trusted = self._n_outcomes, least_trusted_level(self._levels)
        return self._trusted

    def rung(self, bracket: int, rung: int) -> RungState:
        """Who is in a rung."""
        state = self._rungs.get((bracket, rung))
        if state is None:
            state = self._rungs[bracket, rung] = RungState()
        return state


def _place(evaluation: Evaluation) -> tuple[int, int, int]:
    return evaluation.trial.number, evaluation.bracket, evaluation.rung
