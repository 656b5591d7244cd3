"""Hyperband and ASHA: which trial gets more resource, as functions of the history.

The best trials of a rung are promoted to the next one of their bracket (see `brackets`); the others stay paused. Larger
scores are better.

References
----------
L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar (2018): Hyperband: a novel bandit-based
approach to hyperparameter optimization. JMLR 18(185), Algorithm 1.
L. Li, K. Jamieson, A. Rostamizadeh, E. Gonina, J. Ben-tzur, M. Hardt, B. Recht, A. Talwalkar (2020):
A system for massively parallel hyperparameter tuning. MLSys 2, Algorithm 2 (ASHA).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sksearch.folds import best_outcome, outcomes_beside
from sksearch.samplers.protocol import Sampler
from sksearch.schedulers.brackets import Bracket, Plan, cut, exact, most_promotions, plan
from sksearch.schedulers.ledger import Ledger
from sksearch.trials import Evaluation, History, Outcome, Trial


class _Promotion(NamedTuple):
    """Trial `number` is to run at rung `rung` of its bracket."""

    number: int
    bracket: int
    rung: int


def _promoted(promotion: _Promotion, brackets: Sequence[Bracket], history: History) -> Evaluation:
    number, bracket, rung = promotion
    n_resources = brackets[bracket].rungs[rung].n_resources
    return Evaluation(history.trials[number], n_resources=n_resources, rung=rung, bracket=bracket)


def _started(
    sampler: Sampler,
    bracket: int,
    brackets: Sequence[Bracket],
    history: History,
    rng: np.random.Generator,
    *,
    trusted: int | None = None,
    rung: int = 0,
) -> Evaluation | None:
    """A new trial, by a sampler that sees failures, and the scores from the `trusted` amount of resource up."""
    seen = history
    if trusted is not None:
        told = history.outcomes
        seen = history.with_outcomes(
            [o for o in told if o.status == "failed" or (o.evaluation.n_resources or 0) >= trusted]
        )
    params: Any = sampler.suggest(seen, rng)  # anything, if the sampler is a user's
    if params is None:
        return None
    if not (isinstance(params, Mapping) and all(isinstance(name, str) for name in params)):
        raise TypeError(
            f"sampler={sampler!r} suggested {params!r}; suggest must return parameters by name in a dict, or None when "
            "there is nothing left to try."
        )
    trial = Trial(len(history.trials), dict(params))
    return Evaluation(trial, n_resources=brackets[bracket].rungs[rung].n_resources, rung=rung, bracket=bracket)


def _best_at_the_top(brackets: Sequence[Bracket], history: History, evaluation: Evaluation) -> Outcome | None:
    """Of the tops of all brackets with as much resource; a factor below 2 has lower rungs with as much."""
    beside = [told.evaluation for told in outcomes_beside(history, evaluation)]
    tops = {e for e in beside if e.rung == len(brackets[e.bracket].rungs) - 1}
    return best_outcome([told for told in history.outcomes if told.evaluation in tops])


# --- schedulers -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HyperbandScheduler:
    """Synchronous successive halving in each bracket: the published Hyperband.

    A rung is promoted from when all its trials are complete: the best n_{i+1} of them, ties to the
    earlier trial. While a bracket waits, the first rungs of later brackets are started, so that
    workers do not idle; this changes no promotion. A bracket does not take early scores at their word that it
    does not look at itself: its new trials come from a sampler that sees the scores from its own lowest amount of
    resource up, in the last one those of full evaluations alone. Failed trials are never promoted. If the sampler
    is exhausted, the bracket it leaves short goes on with the trials it has: one in `factor` of
    each rung, at least one. If in the end no trial has all folds, as those that were promoted failed and the
    others were pruned, the best pruned one has them, units permitting.

    Of a `scarce` sampler it is known that it runs out of candidates before the brackets are full. As independent draws
    from few candidates would, brackets then share them: a bracket takes, at random, trials that the earlier ones have
    left below its lowest amount, once these have no more to say about them. No trial is trained twice for that.

    >>> from sksearch.samplers.fixed import FixedSampler
    >>> from sksearch.schedulers.brackets import published_brackets
    >>> scheduler = HyperbandScheduler(FixedSampler([{"C": 1}] * 17), published_brackets(1, 9, 3))
    >>> scheduler.ask(History(), np.random.default_rng(0)).n_resources
    1
    """

    sampler: Sampler
    brackets: tuple[Bracket, ...]
    """See `synchronous_brackets`."""
    scarce: bool = False
    _ledger: Ledger = field(default_factory=Ledger, init=False, repr=False, compare=False)

    def ask(self, history: History, rng: np.random.Generator) -> Evaluation | None:
        """A promotion in the earliest bracket that has one, else a new trial in the earliest unfilled one."""
        ledger = self._ledger.read(history)
        promotion, bracket = self._promotion(ledger, history, exhausted=False), self._unfilled(ledger)
        if promotion is None and bracket is not None:
            lowest = self.brackets[bracket].rungs[0].n_resources
            evaluation = _started(self.sampler, bracket, self.brackets, history, rng, trusted=lowest)
            if evaluation is not None:
                return evaluation
            promotion = self._promotion(ledger, history, exhausted=True)
            if promotion is None and self.scarce:
                promotion = self._moved(ledger, history, rng.random((len(self.brackets), len(history.trials))))
        promotion = promotion or self._last_resort(ledger, history)
        return None if promotion is None else _promoted(promotion, self.brackets, history)

    def done(self, history: History) -> bool:
        """Whether every bracket has started its trials and promoted what it will."""
        ledger = self._ledger.read(history)
        return (
            not history.pending
            and self._unfilled(ledger) is None
            and self._promotion(ledger, history, exhausted=False) is None
            and self._last_resort(ledger, history) is None
        )

    def unfinished(self, history: History) -> set[int]:
        """Numbers of the trials that run or may yet be promoted: their models are still needed."""
        ledger = self._ledger.read(history)
        numbers = {evaluation.trial.number for evaluation in history.pending}
        for number, bracket in enumerate(self.brackets):
            for rung, above in enumerate(bracket.rungs[1:]):
                numbers |= ledger.rung(number, rung).waiting(above.n_trials)
            if self.scarce and number and self._has_places(ledger, number):
                numbers |= self._left_below(ledger, number)
        return numbers

    def rival(self, history: History, evaluation: Evaluation) -> Outcome | None:
        """The last one that would be promoted if no other trial came; who does not beat it never is."""
        number, rung = evaluation.bracket, evaluation.rung
        rungs = self.brackets[number].rungs
        ledger = self._ledger.read(history)
        if evaluation.trial.number in ledger.rung(number, rung).judged:  # it comes again, for all folds
            return None
        if rung == len(rungs) - 1:
            return _best_at_the_top(self.brackets, history, evaluation)
        return ledger.placed(number, rung, rungs[rung + 1].n_trials)

    def _has_places(self, ledger: Ledger, number: int) -> bool:
        return ledger.rung(number, 0).n_entered < self.brackets[number].rungs[0].n_trials

    def _unfilled(self, ledger: Ledger) -> int | None:
        return next((number for number in range(len(self.brackets)) if self._has_places(ledger, number)), None)

    def _promotion(self, ledger: Ledger, history: History, *, exhausted: bool) -> _Promotion | None:
        for number, bracket in enumerate(self.brackets):
            started = ledger.rung(number, 0).n_entered
            if self._has_places(ledger, number) and not (exhausted and started):
                continue
            promotion = self._promotion_in(number, cut(bracket, started), ledger)
            if promotion is not None:
                takes_more = self.scarce and self._has_places(ledger, number)
                if not takes_more or self._movable(ledger, history, number) == set():
                    return promotion
        return None

    def _left_below(self, ledger: Ledger, number: int) -> set[int]:
        """Trials of earlier brackets that have had less than the lowest amount of this one."""
        lowest = self.brackets[number].rungs[0].n_resources
        return {trial for trial in ledger.resting(lowest) if ledger.bracket_of(trial) < number}

    def _movable(self, ledger: Ledger, history: History, number: int) -> set[int] | None:
        """Trials that a bracket may take over from earlier ones; None as long as those may change."""
        lowest = self.brackets[number].rungs[0].n_resources
        if any(e.bracket < number and (e.n_resources or 0) < lowest for e in history.pending):
            return None
        return self._left_below(ledger, number)

    def _moved(self, ledger: Ledger, history: History, order: NDArray[np.float64]) -> _Promotion | None:
        """A trial enters a later bracket, in an order of its own; when nothing is to be promoted in earlier ones."""
        for number in range(1, len(self.brackets)):
            if self._has_places(ledger, number) and (movable := self._movable(ledger, history, number)):
                return _Promotion(min(movable, key=order[number].__getitem__), number, 0)
        return None

    def _last_resort(self, ledger: Ledger, history: History) -> _Promotion | None:
        """Of a search at rest in which no trial has all folds: the pruned one with the most resource and best score."""
        if history.pending or any(ledger.paused(trial.number) for trial in history.trials):
            return None
        left = self._left(ledger)
        places = [(n, r) for n, bracket in enumerate(self.brackets) for r in range(len(bracket.rungs))]
        for number, rung in sorted(places, key=lambda place: -self.brackets[place[0]].rungs[place[1]].n_resources):
            pruned = ledger.best_pruned(number, rung)
            n_resources = self.brackets[number].rungs[rung].n_resources
            if pruned is not None and n_resources <= left:
                return _Promotion(pruned, number, rung)
        return None

    def _left(self, ledger: Ledger) -> int:
        """Units that were planned and are not spent: only after a last resort too few for what is still to be asked."""
        return _budget(self.brackets).n_resources - sum(ledger.spent(n).resumed for n in range(len(self.brackets)))

    def _promotion_in(self, number: int, sizes: Sequence[int], ledger: Ledger) -> _Promotion | None:
        """The next promotion of a bracket whose first rung is filled; None if a rung is still running."""
        for rung in range(len(sizes) - 1):
            state, most = ledger.rung(number, rung), sizes[rung + 1]
            if state.n_pending:
                return None
            best = (trial for _, trial in state.ranking[:most] if ledger.bracket_of(trial) == number)  # still
            trial = next((trial for trial in best if trial not in state.promoted), None)
            if trial is not None and len(state.promoted) < most:
                below, above = self.brackets[number].rungs[rung : rung + 2]
                if above.n_resources - below.n_resources <= self._left(ledger):
                    return _Promotion(trial, number, rung + 1)
        return None


@dataclass(frozen=True, slots=True)
class AshaScheduler:
    """Asynchronous successive halving (ASHA) of paused trials.

    Each ask scans the rungs from the most resources down. Promotable are the best
    floor(n / factor) of the n complete trials of a rung that were not promoted yet, the best first;
    failed ones count in n and are never promoted. If there is none a new trial starts, while
    candidates are left. Promotions of a rung are limited to `most_promotions`, so that
    `plan(brackets)` is the most that is spent.

    The published algorithm runs until it is stopped; with a finite number of candidates it would
    end with the best of short rungs waiting for company that never comes. So when all candidates
    have been started, nothing of a bracket is running or promotable, and no trial of it has been
    promoted to its top rung by its scores, the best trial of its highest rung is promoted, rung by
    rung, as synchronous successive halving does when one trial is left. If all that were promoted failed, and the
    others were pruned, the best of these has all its folds first.

    With several brackets a new trial joins one at random, in proportion to the places left in each.

    Without `robust` that is all. With it the search does not take it on trust that early scores tell
    of late ones:

    - The first trials of a bracket are *scouts*, one for each `factor` places at its top: they go there
      whatever their scores are. Their steps take turns with the others, so that scouts have at most half of
      what is spent before the end.
    - Of all trials that were scored at a low and at a high amount of resource the scores are
      correlated (`fidelity.least_trusted_level`). Where an amount does not tell what comes, new
      trials start above it, the sampler sees no score of it or of less, and only scouts, and what ends a
      bracket, are promoted from there. So the search goes on with fewer, longer trials, if need be with
      full ones alone. A rung may then have more trials than `brackets` says; the units that a bracket
      spends are never more than planned.
    - Of a `scarce` sampler it is known that it runs out of candidates. What a bracket has left of its units goes to
      those there are: with nothing else to do the best trial of the highest rung in which one waits is promoted.
      As most of them are promoted then, no trial is spared its folds below the top.

    >>> from sksearch.samplers.fixed import FixedSampler
    >>> from sksearch.schedulers.brackets import asynchronous_brackets
    >>> scheduler = AshaScheduler(FixedSampler([{"C": 1}] * 17), asynchronous_brackets(1, 9, 3))
    >>> scheduler.ask(History(), np.random.default_rng(0)).n_resources
    1
    """

    sampler: Sampler
    brackets: tuple[Bracket, ...]
    """See `asynchronous_brackets`."""
    robust: bool = True
    scarce: bool = False
    _ledger: Ledger = field(default_factory=Ledger, init=False, repr=False, compare=False)

    def ask(self, history: History, rng: np.random.Generator) -> Evaluation | None:
        """A promotion, else a new trial, else a promotion that ends a bracket."""
        ledger = self._ledger.read(history)
        trusted = self._trusted(ledger)
        promotion = self._scout(ledger, at_rest=False) or self._promotion(ledger, trusted)
        if promotion is None:
            places = self._places(ledger, trusted)
            if any(places):
                bracket = _draw(places, rng)
                rung = self._first_rung(bracket, trusted)
                evaluation = _started(self.sampler, bracket, self.brackets, history, rng, trusted=trusted, rung=rung)
                if evaluation is not None:
                    return evaluation
            promotion = self._scout(ledger, at_rest=True) or self._last_promotion(ledger) or self._of_few(ledger)
        return None if promotion is None else _promoted(promotion, self.brackets, history)

    def done(self, history: History) -> bool:
        """Whether all candidates have been started or all is spent, and nothing is running or to be promoted."""
        ledger = self._ledger.read(history)
        trusted = self._trusted(ledger)
        return (
            not history.pending
            and not any(self._places(ledger, trusted))
            and self._scout(ledger, at_rest=True) is None
            and self._promotion(ledger, trusted) is None
            and self._last_promotion(ledger) is None
            and self._of_few(ledger) is None
        )

    def unfinished(self, history: History) -> set[int]:
        """Numbers of the trials that run or may yet be promoted: their models are still needed.

        That is a share of each rung, taken as full as it can still get with the candidates and the units of
        resource that are left. Until a trial is at the top by its scores, those that the end of the bracket
        may call for stay as well: all of the higher rungs, and of the lowest as many as it may yet promote.
        """
        ledger = self._ledger.read(history)
        numbers = {evaluation.trial.number for evaluation in history.pending}
        for number, bracket in enumerate(self.brackets):
            spent = ledger.spent(number)
            scouts = spent.trials[: self.n_scouts(number)]
            top, paused = len(bracket.rungs) - 1, (ledger.paused(scout) for scout in scouts)
            numbers.update(last.trial.number for last in paused if last is not None and last.rung < top)
            chosen = self._is_chosen(ledger, number)
            units = _budget((bracket,)).n_resources - spent.resumed
            to_start = max(0, bracket.rungs[0].n_trials - len(spent.trials))
            to_promote = reached = 0
            for rung, level in enumerate(bracket.rungs[:-1]):
                state = ledger.rung(number, rung)
                more = min(to_start + to_promote, units // (level.n_resources - reached))
                n_trials, reached = state.n_entered + more, level.n_resources
                left = bracket.rungs[1].n_trials - len(state.promoted)
                spare = 0 if chosen else len(state.ranking) if rung else left
                numbers |= state.waiting(math.floor(n_trials / exact(bracket.factor)), at_least=spare)
                # scouts, and what ends a bracket, are promoted beyond the limit
                most = most_promotions(n_trials, bracket.factor) + len(scouts) + 1
                to_promote = max(0, most - len(state.promoted))
                if self.scarce and bracket.rungs[rung + 1].n_resources - level.n_resources <= units:
                    numbers |= state.waiting(len(state.ranking))
        return numbers

    def rival(self, history: History, evaluation: Evaluation) -> Outcome | None:
        """Where the part of the rung that is promoted ends, at most: see `last_place`.

        None for scouts below the top, who go on anyway, and where nothing is promoted by the scores.
        """
        number, rung = evaluation.bracket, evaluation.rung
        bracket = self.brackets[number]
        if rung == len(bracket.rungs) - 1:
            return _best_at_the_top(self.brackets, history, evaluation)
        ledger = self._ledger.read(history)
        is_scout = evaluation.trial.number in ledger.spent(number).trials[: self.n_scouts(number)]
        state = ledger.rung(number, rung)
        comes_again = evaluation.trial.number in state.judged
        if (
            is_scout
            or comes_again
            or (self.scarce and self.robust)
            or rung < self._first_rung(number, self._trusted(ledger))
        ):
            return None
        return ledger.placed(number, rung, last_place(state.n_told + 1, bracket.factor))

    def n_scouts(self, bracket: int) -> int:
        """Trials of a bracket that go to its top whatever their scores are."""
        rungs, factor = self.brackets[bracket].rungs, self.brackets[bracket].factor
        return math.floor(rungs[-1].n_trials / exact(factor)) if self.robust and len(rungs) > 1 else 0

    def _trusted(self, ledger: Ledger) -> int | None:
        return ledger.trusted() if self.robust else None

    def _first_rung(self, bracket: int, trusted: int | None) -> int:
        """The first rung of a bracket with scores that are trusted; the last one if there is none."""
        rungs = self.brackets[bracket].rungs
        return next((i for i, rung in enumerate(rungs) if rung.n_resources >= (trusted or 0)), len(rungs) - 1)

    def _places(self, ledger: Ledger, trusted: int | None) -> list[int]:
        """Trials each bracket has still to start and can afford."""
        places = []
        for number, bracket in enumerate(self.brackets):
            left = bracket.rungs[0].n_trials - len(ledger.spent(number).trials)
            places.append(left if self._affordable(ledger, number, self._first_rung(number, trusted)) else 0)
        return places

    def _affordable(self, ledger: Ledger, number: int, rung: int, before: int = 0) -> bool:
        """Whether the units suffice to take a trial from `before` to `rung`, and then one to the top if none is there.

        Without `robust` the plan's numbers of trials, which are kept to then, leave a way to the top.
        """
        bracket, spent = self.brackets[number], ledger.spent(number)
        budget = _budget((bracket,))
        steps = [level.n_resources for level in bracket.rungs[rung:]]
        if not self.robust or ledger.rung(number, len(bracket.rungs) - 1).n_entered:
            steps = steps[:1]
        return (
            spent.resumed + steps[-1] - before <= budget.n_resources
            and spent.from_scratch + sum(steps) <= budget.n_resources_from_scratch
        )

    def _if_affordable(self, ledger: Ledger, promotion: _Promotion) -> _Promotion | None:
        before = self.brackets[promotion.bracket].rungs[promotion.rung - 1].n_resources
        return promotion if self._affordable(ledger, promotion.bracket, promotion.rung, before) else None

    def _scout(self, ledger: Ledger, *, at_rest: bool) -> _Promotion | None:
        """The next step of a scout, the earliest first, once the others have spent as much or have nothing to do."""
        for number, bracket in enumerate(self.brackets):
            spent = ledger.spent(number)
            scouts = spent.trials[: self.n_scouts(number)]
            for scout in scouts:
                paused = ledger.paused(scout)
                rungs = bracket.rungs[paused.rung :] if paused else ()
                if paused is None or len(rungs) < 2:
                    continue
                promotion = self._if_affordable(ledger, _Promotion(scout, number, paused.rung + 1))
                if promotion and ledger.rung(number, promotion.rung).n_entered < rungs[1].n_trials:
                    more = rungs[1].n_resources - rungs[0].n_resources
                    if at_rest or 2 * (sum(map(ledger.reached, scouts)) + more) <= spent.resumed + more:
                        return promotion
                    break
        return None

    def _ladder(self, trusted: int | None) -> list[tuple[int, int, int]]:
        """Rungs from which trials are promoted, over all brackets, those to the most resources first."""
        return sorted(
            (-bracket.rungs[rung + 1].n_resources, number, rung)
            for number, bracket in enumerate(self.brackets)
            for rung in range(self._first_rung(number, trusted), len(bracket.rungs) - 1)
        )

    def _of_few(self, ledger: Ledger) -> _Promotion | None:
        """Of scarce candidates, when there are no more."""
        for _, number, rung in self._ladder(None) if self.scarce and self.robust else ():
            state = ledger.rung(number, rung)
            trial = next((trial for _, trial in state.ranking if trial not in state.promoted), None)
            if trial is not None and (found := self._if_affordable(ledger, _Promotion(trial, number, rung + 1))):
                return found
        return None

    def _promotion(self, ledger: Ledger, trusted: int | None) -> _Promotion | None:
        """The published rule."""
        for _, number, rung in self._ladder(trusted):
            state = ledger.rung(number, rung)
            factor = self.brackets[number].factor
            if len(state.promoted) < most_promotions(state.n_told, factor):
                best = state.ranking[: math.floor(state.n_told / exact(factor))]
                trial = next((trial for _, trial in best if trial not in state.promoted), None)
                if trial is not None and (found := self._if_affordable(ledger, _Promotion(trial, number, rung + 1))):
                    return found
        return None

    def _is_chosen(self, ledger: Ledger, number: int) -> bool:
        """Whether a trial of the bracket came to the top by its scores: no scout, and did not fail there."""
        scouts = ledger.spent(number).trials[: self.n_scouts(number)]
        top = ledger.rung(number, len(self.brackets[number].rungs) - 1)
        return not top.judged.keys() <= set(scouts)

    def _last_promotion(self, ledger: Ledger) -> _Promotion | None:
        """For a bracket at rest with nothing but scouts at the top: the best trial of its highest rung.

        Where none is left that can go on, as the promoted ones failed: the best pruned one that can has all its
        folds, or, if no trial of the bracket has, the best one.
        """
        for number, bracket in enumerate(self.brackets):
            states = [ledger.rung(number, rung) for rung in range(len(bracket.rungs))]
            if self._is_chosen(ledger, number) or any(state.n_pending for state in states):
                continue
            for rung in range(len(states) - 2, -1, -1):
                state = states[rung]
                if len(state.promoted) < bracket.rungs[rung + 1].n_trials:
                    trial = next((trial for _, trial in state.ranking if trial not in state.promoted), None)
                    if trial is not None and (
                        found := self._if_affordable(ledger, _Promotion(trial, number, rung + 1))
                    ):
                        return found
            alone = not any(ledger.paused(trial) for trial in ledger.spent(number).trials)
            for rung in range(len(states) - 2, -1, -1):
                pruned, most = ledger.best_pruned(number, rung), bracket.rungs[rung + 1].n_trials
                rises = len(states[rung].promoted) < most and self._affordable(ledger, number, rung + 1)
                if pruned is not None and (rises or alone) and self._affordable(ledger, number, rung):
                    return _Promotion(pruned, number, rung)
        return None


def last_place(n_trials: int, factor: float) -> int:
    r"""The last place among `n_trials` that may yet be in the best share 1 / eta of a rung that goes on growing.

    :math:`\lceil n / \eta + \lceil \sqrt n \rceil / 2 \rceil`: a standard error of a sample quantile, at most
    :math:`\sqrt{n / 4}` places, below the end of that share.

    >>> [last_place(n, 3) for n in (3, 9, 30, 143)]
    [2, 5, 13, 54]
    """
    return math.ceil(n_trials / exact(factor) + Fraction(math.isqrt(n_trials - 1) + 1, 2))


@lru_cache(maxsize=64)
def _budget(brackets: tuple[Bracket, ...]) -> Plan:
    """What they may cost."""
    return plan(brackets)


def _draw(places: Sequence[int], rng: np.random.Generator) -> int:
    """A bracket, in proportion to its places; no draw is spent when only one was planned."""
    if len(places) == 1:
        return 0
    return int(np.searchsorted(np.cumsum(places), rng.integers(sum(places)), side="right"))
