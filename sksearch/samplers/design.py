"""The trials before there is a model: parameters the user starts from, then a space-filling sequence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sksearch.gp.features import Array
from sksearch.gp.maximize import Domain, keys, unseen, unseen_neighbours
from sksearch.gp.sobol import uniform_points
from sksearch.space import Dimension, Space
from sksearch.trials import Params

_DRAWS = 1000
"""Draws among which one from each branch is practically certain to be."""


def n_initial(n_columns: int, n_workers: int, n_trials: int | None) -> int:
    """Trials to start before the model is asked.

    Enough to fit a lengthscale per column and to keep every worker busy, but never more than half of
    the budget. (A quarter was worse, by 0.076 +- 0.035 in normalised regret after all of 12 trials, on
    the development tasks of `docs/benchmarks`.)

    >>> n_initial(4, 1, 50), n_initial(4, 10, 50), n_initial(4, 1, 10), n_initial(4, 1, None)
    (7, 10, 5, 7)
    """
    wanted = max(n_columns + 3, min(n_workers, 2 * n_columns + 4))
    return wanted if n_trials is None else min(wanted, math.ceil(n_trials / 2))


def check_initial_params(space: Space, initial_params: Sequence[Params]) -> list[Params]:
    """The given dicts without repetitions.

    Raises
    ------
    ValueError
        If one fits no branch of the space: an unknown name, or a value outside its dimension.
    """
    kept: list[Params] = []
    points: set[bytes] = set()
    for params in initial_params:
        branches = [branch for branch in space.branches if all(name in branch for name in params)]
        if not branches:
            raise ValueError(
                f"initial_params must name parameters of one search space, got {sorted(params)}; "
                f"the search spaces have {[sorted(branch) for branch in space.branches]}."
            )
        fitting = [branch for branch in branches if all(_contains(branch[name], params[name]) for name in params)]
        if not fitting:
            outside = {name: value for name, value in params.items() if not _contains(branches[0][name], value)}
            raise ValueError(
                f"initial_params must lie in the search space, got {outside!r}; "
                "widen the space or leave the names out (they are then drawn at random)."
            )
        if any(len(branch) == len(params) for branch in fitting):
            key = keys(space.encode(params)[None])[0]
            if key in points:
                continue
            points.add(key)
        kept.append(dict(params))
    return kept


def known_values(space: Space, params: Mapping[str, Any]) -> Params:
    """The part of `params` that lies in the space: of the branch that holds most of it, names and values in it.

    Examples
    --------
    >>> from sksearch.space import Space
    >>> space = Space.parse({"C": [0.1, 1.0, 10.0], "kernel": ["rbf", "poly"]}, argument="search_spaces")
    >>> known_values(space, {"C": 1.0, "kernel": "precomputed", "tol": 1e-3})
    {'C': 1.0}
    """
    parts = [
        {name: params[name] for name in branch if name in params and _contains(branch[name], params[name])}
        for branch in space.branches
    ]
    return max(parts, key=len)


def complete(
    space: Space,
    partial: Params,
    seen: frozenset[bytes],
    rng: np.random.Generator,
    allowed: Callable[[Array], NDArray[np.bool_]] | None = None,
) -> Params | None:
    """`partial` with the other names drawn at random; None when only known or forbidden points have these values."""
    for _ in range(_DRAWS):
        drawn = space.sample(rng)
        params = {**drawn, **partial}
        if len(params) > len(drawn) or not space.contains(params):
            continue  # drawn from another branch
        point = space.encode(params)[None]
        if keys(point)[0] not in seen and (allowed is None or allowed(point)[0]):
            return params
    return None


def design_point(domain: Domain, known: Array, rng: np.random.Generator) -> Array | None:
    """The first point of a scrambled Sobol sequence that is not among the `known` ones.

    The sequence belongs to the search, not to the trial: it is scrambled by the entropy that `rng`
    was seeded with, which all trials of a search have in common, and the known points tell how far
    it was used. (A generator of unknown seed gives each trial a sequence of its own.)

    Returns
    -------
    (d,) array, or None when no unknown point was found
    """
    seen = frozenset(keys(known))
    n_columns = len(domain.n_categories)
    scramble = _search_seed(rng)
    for n_points in (64, 4096):
        sequence = uniform_points(n_points, n_columns, np.random.default_rng(scramble))
        points = unseen(domain.snap(sequence), seen)
        if len(points):
            return points[0]  # type: ignore[no-any-return]
    points = unseen_neighbours(domain, known)
    return points[int(rng.integers(len(points)))] if len(points) else None


def _search_seed(rng: np.random.Generator) -> np.random.SeedSequence:
    """What `rng` was seeded with but for the number of the trial; a draw from it where that is unknown."""
    source = rng.bit_generator.seed_seq
    if not isinstance(source, np.random.SeedSequence):
        return np.random.SeedSequence(int(rng.integers(2**63)))
    # one word longer than the keys of the trials, so it is none of their streams
    return np.random.SeedSequence(source.entropy, spawn_key=(*source.spawn_key[:-1], 0, 0))


def _contains(dimension: Dimension, value: object) -> bool:
    try:
        dimension.to_unit(value)
    except (ValueError, TypeError):
        return False
    return True
