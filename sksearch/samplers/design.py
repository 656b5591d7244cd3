"""The trials before there is a model: parameters the user starts from, then a space-filling sequence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sksearch.gp.features import Array
from sksearch.gp.maximize import Domain, keys, unseen, unseen_neighbours
from sksearch.gp.sobol import uniform_points
from sksearch.space import Dimension, Space
from sksearch.space.dimensions import SampleOnly
from sksearch.space.values import plain, same
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
    """The given dicts without repetitions, values in the types of the space.

    Raises
    ------
    ValueError
        If one fits no branch of the space: an unknown name, or a value outside its dimension.
    """
    kept: list[Params] = []
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
        fits = [_Fit.of(branch, params) for branch in fitting]
        best = max(fits, key=lambda fit: (fit.has_types, fit.is_whole))
        if not (best.is_whole and _is_among(best.params, kept)):
            kept.append(best.params)
    return kept


def known_values(space: Space, params: Mapping[str, Any]) -> Params:
    """The part of `params` that lies in the space: of a branch that has all its names there, else that has most.

    Examples
    --------
    >>> from sksearch.space import Space
    >>> space = Space.parse({"C": [0.1, 1.0, 10.0], "kernel": ["rbf", "poly"]}, argument="search_spaces")
    >>> known_values(space, {"C": 1.0, "kernel": "precomputed", "tol": 1e-3})
    {'C': 1.0}
    """
    fits = [_Fit.of(branch, params, surely=True) for branch in space.branches]
    return max(fits, key=lambda fit: (fit.is_whole, len(fit.params), fit.has_types)).params


class _Fit(NamedTuple):
    """What a branch of the space has of some parameters."""

    params: Params
    """In the order and the types of the branch."""
    is_whole: bool
    """Whether the branch has no other names."""
    has_types: bool
    """Whether the values are of these types as they are given: 1.0 is another setting than 1."""

    @classmethod
    def of(cls, branch: Mapping[str, Dimension], given: Mapping[str, Any], *, surely: bool = False) -> _Fit:
        """`surely`: what a distribution may draw that can only be sampled is not known."""
        names = [name for name in branch if name in given and _contains(branch[name], given[name])]
        names = [name for name in names if not (surely and isinstance(branch[name], SampleOnly))]
        params = {name: branch[name].canonical(given[name]) for name in names}
        has_types = all(same(value, plain(given[name])) for name, value in params.items())
        return cls(params, 0 < len(names) == len(branch), has_types)


def _is_among(params: Params, others: Iterable[Params]) -> bool:
    """Whether one of `others` is the same; words and numbers are compared first, which takes no time."""
    scalars = [(name, value, type(value)) for name, value in params.items() if _equals_itself(value)]
    for other in others:
        for name, value, kind in scalars:
            if type(found := other.get(name)) is not kind or found != value:
                break
        else:
            if same(params, other):
                return True
    return False


def _equals_itself(value: Any) -> bool:
    return type(value) in (int, str, bool) or (type(value) is float and not math.isnan(value))


def complete(
    space: Space,
    partial: Params,
    tried: Iterable[Params],
    rng: np.random.Generator,
    *,
    seen: frozenset[bytes] = frozenset(),
    allowed: Callable[[Array], NDArray[np.bool_]] | None = None,
) -> Params | None:
    """`partial` with the other names drawn at random; None when only known or forbidden points have these values.

    Parameters
    ----------
    space : Space
    partial : dict
        Values of the space. Where nothing is left out it is new unless it equals one of `tried`: distant values may be
        one point, at the end of a distribution.
    tried : iterable of dicts
        What the trials so far have.
    rng : Generator
    seen : frozenset of bytes, default=frozenset()
        Their points; none in a space that has infinitely many.
    allowed : callable, default=None
        Which of some points, (m, d), may be tried.
    """
    if space.contains(partial):
        new = not _is_among(partial, tried)
        return dict(partial) if new and (allowed is None or allowed(space.encode(partial)[None])[0]) else None
    for _ in range(_DRAWS):
        drawn = space.sample(rng)
        params = {**drawn, **partial}
        if len(params) > len(drawn) or not space.contains(params):
            continue  # drawn from another branch
        if _is_among(params, tried):
            continue
        if not seen and allowed is None:
            return params
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
        return dimension.contains(value)
    except TypeError:
        return False
