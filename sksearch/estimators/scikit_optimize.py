"""What code written for scikit-optimize's BayesSearchCV passes and reads, in the words of ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from numbers import Integral
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.optimize import OptimizeResult

from sksearch.space import Space
from sksearch.trials import History, Outcome

Callback: TypeAlias = Callable[[OptimizeResult], Any]

# What may be written for each argument of scikit-optimize's Optimizer because ours does the same or does not need it.
_EQUAL: dict[str, tuple[Any, ...]] = {
    "base_estimator": ("GP", "gp"),
    "initial_point_generator": ("sobol", "random"),
    "acq_func": ("gp_hedge", "EI"),
    "acq_optimizer": ("auto", "lbfgs", "sampling"),
    "avoid_duplicates": (True,),
    "acq_func_kwargs": (None, {}),
    "acq_optimizer_kwargs": (None, {}),
    "model_queue_size": (None,),
    "space_constraint": (None,),
    "n_jobs": (None, 1),
    "dimensions": (),
}
# What to do where something else is written.
_INSTEAD = {
    "base_estimator": "the model is a Gaussian process; leave it out, or use RandomizedSearchCV to search "
    "without a model",
    "initial_point_generator": "the initial points are a scrambled Sobol sequence; leave it out, and give points of "
    "your own as initial_params",
    "acq_func": "the acquisition is log expected improvement; leave it out. Where the time of fits matters, "
    "HyperbandSearchCV spends it",
    "acq_optimizer": "the acquisition is maximised by gradient and exchange; leave it out",
    "avoid_duplicates": "the same parameters are never tried twice; leave it out, and use RepeatedKFold as cv to "
    "average the noise",
    "acq_func_kwargs": "expected improvement has no settings; leave it out",
    "acq_optimizer_kwargs": "the maximisation has no settings; leave it out",
    "model_queue_size": "no models are kept; leave it out",
    "space_constraint": "there are no constraints on points; write a list of dicts as search_spaces, one for each part "
    "of the space, or let the estimator raise: a failed trial is kept away from",
    "n_jobs": "the model needs no workers; give n_jobs to BayesSearchCV",
    "dimensions": "search_spaces are the dimensions; leave it out",
}
_POINTS = ("n_initial_points", "n_random_starts")
_KNOWN = sorted([*_EQUAL, *_POINTS, "random_state"])


def split_quotas(search_spaces: Any, n_iter: int) -> tuple[Any, list[int] | None]:
    """The dicts of `search_spaces` without their quotas, and the quotas; None if there is no pair `(dict, int)`.

    A plain dict among pairs has the quota `n_iter`.

    >>> split_quotas([({"C": [1, 2, 3]}, 2), {"nu": [0.1, 0.5, 0.9]}], n_iter=50)
    ([{'C': [1, 2, 3]}, {'nu': [0.1, 0.5, 0.9]}], [2, 50])
    """
    if not isinstance(search_spaces, list) or not any(isinstance(space, tuple) for space in search_spaces):
        return search_spaces, None
    spaces: list[Any] = []
    quotas: list[int] = []
    for position, space in enumerate(search_spaces):
        if not isinstance(space, tuple):
            spaces.append(space)
            quotas.append(int(n_iter))
            continue
        if len(space) != 2 or not isinstance(space[0], Mapping):
            raise ValueError(f"search_spaces[{position}] must be a dict or a pair (dict, n_iter), got {space!r}.")
        quota = space[1]
        if isinstance(quota, bool) or not isinstance(quota, Integral) or quota < 1:
            raise ValueError(
                f"search_spaces[{position}]: the number of trials must be a positive int, got {quota!r}; "
                "leave a dict out that is not to be searched."
            )
        spaces.append(space[0])
        quotas.append(int(quota))
    return spaces, quotas


def apply_optimizer_kwargs(
    optimizer_kwargs: Mapping[str, Any] | None, *, n_initial_points: int | Literal["auto"], random_state: Any
) -> tuple[int | Literal["auto"], Any]:
    """`n_initial_points` and `random_state` with what `optimizer_kwargs` says of them; what has no equal is refused.

    >>> apply_optimizer_kwargs({"base_estimator": "GP", "n_random_starts": 5}, n_initial_points="auto", random_state=0)
    (5, 0)
    """
    given = dict(optimizer_kwargs or {})
    for key, value in given.items():
        if key not in _KNOWN:
            raise ValueError(f"optimizer_kwargs has the unknown key {key!r}; it may have {', '.join(_KNOWN)}.")
        value = value.item() if isinstance(value, np.generic) else value  # noqa: PLW2901 - the same value
        if key in _EQUAL and not any(type(value) is type(equal) and value == equal for equal in _EQUAL[key]):
            raise ValueError(f"optimizer_kwargs: {key}={value!r} has no equal here: {_INSTEAD[key]}.")
    for key in _POINTS:
        points = given.get(key)
        if points is None:
            continue
        if isinstance(points, bool) or not isinstance(points, Integral) or points < 1:
            raise ValueError(
                f"optimizer_kwargs: {key} must be a positive int, got {points!r}; leave it out for 'auto'."
            )
        if n_initial_points not in ("auto", points):
            raise ValueError(
                f"optimizer_kwargs: {key}={points!r} contradicts n_initial_points={n_initial_points!r}; "
                "give the number of initial points once."
            )
        n_initial_points = int(points)
    seed = given.get("random_state")
    if seed is not None:
        _check_seed(seed)
        if random_state is not None and seed is not random_state and not np.array_equal(seed, random_state):
            raise ValueError(
                f"optimizer_kwargs: random_state={seed!r} contradicts random_state={random_state!r}; "
                "give it to BayesSearchCV alone."
            )
        random_state = seed
    return n_initial_points, random_state


def _check_seed(seed: Any) -> None:
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and 0 <= int(seed) < 2**32
    if not (whole or isinstance(seed, np.random.RandomState)):
        raise ValueError(
            f"optimizer_kwargs: random_state must be an int from 0 to 2**32 - 1 or a RandomState, got {seed!r}; "
            "better give random_state to BayesSearchCV."
        )


def check_callbacks(callback: Any) -> list[Callback]:
    """`callback` of `fit` as a list of callables.

    >>> check_callbacks(None), check_callbacks([len])
    ([], [<built-in function len>])
    """
    callbacks = callback if isinstance(callback, (list, tuple)) else [] if callback is None else [callback]
    for each in callbacks:
        if not callable(each):
            raise ValueError(  # noqa: TRY004  (as all unusable arguments)
                f"callback must be a callable or a list of callables, got {each!r}; see BayesSearchCV.fit."
            )
    return list(callbacks)


def optimize_result(outcomes: Sequence[Outcome], space: Space) -> OptimizeResult:
    """Trials as scikit-optimize shows them: points are lists of values, and what it minimises is the negated score.

    Parameters
    ----------
    outcomes : sequence of Outcome
        In the order in which they became known.
    space : Space

    Returns
    -------
    scipy.optimize.OptimizeResult
        `x_iters`, the parameters of each trial as a list, ordered by the names of its own dict; `func_vals`,
        the negated score of each, inf for a failed one, and for one that was pruned no better than the best
        complete one before it; `x` and `fun`, those of the best completely
        evaluated trial (of the first trial, and inf, while all have failed; None without any); `space`.

    Examples
    --------
    >>> from sksearch.trials import Evaluation, Trial
    >>> space = Space.parse({"b": [1, 2, 3], "a": ["x", "y"]}, argument="search_spaces")
    >>> evaluations = [Evaluation(Trial(0, {"b": 1, "a": "x"})), Evaluation(Trial(1, {"b": 3, "a": "y"}))]
    >>> outcomes = [Outcome(evaluation=e, folds=(), score=0.5 + e.trial.number) for e in evaluations]
    >>> result = optimize_result(outcomes, space)
    >>> result.x, float(result.fun), result.func_vals
    (['y', 3], -1.5, array([-0.5, -1.5]))
    """
    points = [[params[name] for name in sorted(params)] for params in (o.evaluation.trial.params for o in outcomes)]
    losses = np.array([-o.score if math.isfinite(o.score) else math.inf for o in outcomes])
    comparable = np.where([o.status == "ok" for o in outcomes], losses, math.inf) if outcomes else losses
    before = np.minimum.accumulate(np.append(math.inf, comparable))[:-1]
    pruned = np.array([o.status == "pruned" for o in outcomes], dtype=bool)
    guess_is_better = pruned & np.isfinite(before) & (losses <= before)
    losses = np.where(guess_is_better, np.nextafter(before, math.inf), losses)
    best = int(np.argmin(comparable)) if outcomes else None
    result = OptimizeResult()
    result.update(
        x=None if best is None else points[best],
        fun=math.inf if best is None else float(comparable[best]),
        x_iters=points,
        func_vals=losses,
        space=copy(space),  # a callback may do with it what it likes
    )
    return result


def results_by_dict(history: History, space: Space) -> list[OptimizeResult]:
    """One `OptimizeResult` for each dict of the space, of its trials alone."""
    outcomes: list[list[Outcome]] = [[] for _ in space.branches]
    for outcome in history.outcomes:
        point = space.encode(outcome.evaluation.trial.params)
        outcomes[int(space.branch_of(point[None])[0])].append(outcome)
    return [optimize_result(of_branch, space) for of_branch in outcomes]


def stops(callbacks: Sequence[Callback], space: Space) -> Callable[[History], Literal["callback"] | None]:
    """A stopping rule: every callback is called with all trials so far, and one that returns a true value stops."""

    def rule(history: History) -> Literal["callback"] | None:
        result = optimize_result(history.outcomes, space)
        decisions = [callback(result) for callback in callbacks]
        return "callback" if any(decision is not None and bool(decision) for decision in decisions) else None

    return rule
