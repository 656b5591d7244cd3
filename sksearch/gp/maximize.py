"""Maximisation of an acquisition over points with continuous, integer, ordinal and categorical columns.

Notation: m points, d columns, B starting points improved together, c continuous columns.
A point is (d,) coordinates in [0, 1], nan where a column is inactive (see `features`); a *legal*
point is one that `Domain.snap` leaves as it is. Only legal points are ever compared or returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sksearch.gp.acquisition import Acquisition
from sksearch.gp.features import Array, Indices, expand, feature_groups
from sksearch.gp.regression import squared_distances
from sksearch.gp.sobol import uniform_points

_N_SOBOL = 256
_N_PERTURBED = 128
_N_STARTS = 4
_APART = 0.05
"""Largest coordinate difference that two starts must have at least."""
_ROUNDS = 3
_EXCHANGES = 5
"""Most steps of the discrete search in one round."""
_ALL_LEVELS = 16
"""A column with more levels is searched by gradient too, and by its nearest levels only."""
_NEAREST = 3
_NEAR_DUPLICATE = 0.01
"""Distance in lengthscales within which a new point would tell nothing, unless there is noise to average."""
_NOISY = 0.1
"""Noise variance, of scores with variance 1, from which on there is."""
_ASCENT_STEPS = 30


@dataclass(frozen=True, slots=True)
class Domain:
    """Which points are legal."""

    n_categories: tuple[int, ...]
    """Per column: number of categories, 0 for an ordered column."""
    level_units: tuple[Array | None, ...]
    """Per column: increasing coordinates of its levels; None for a continuum, or too many to list."""
    snap: Callable[[Array], Array]
    """(m, d) any coordinates -> (m, d) legal points."""

    def features(self, points: Array) -> Array:
        """(m, p) features of (m, d) points."""
        return expand(points, self.n_categories)[0]


def keys(points: Array) -> list[bytes]:
    """One key per point, equal for points that are equal up to rounding; nan equals nan.

    >>> a, b = keys(np.array([[0.1 + 0.2, np.nan], [0.3, np.nan]]))
    >>> a == b
    True
    """
    rounded = np.round(np.nan_to_num(points, nan=-1.0), 12) + 0.0
    return [row.tobytes() for row in rounded]


def unseen(points: Array, seen: frozenset[bytes]) -> Array:
    """The points whose key is not in `seen`, each once, in their order."""
    fresh = {key: position for position, key in reversed(list(enumerate(keys(points)))) if key not in seen}
    return points[sorted(fresh.values())]


def maximize(
    acquisition: Acquisition,
    domain: Domain,
    known: Array,
    leaders: Array,
    rng: np.random.Generator,
) -> Array | None:
    """A legal point of high acquisition that is not among `known` ones.

    Scores a scrambled Sobol sequence and perturbations of `leaders`, then improves the best few by
    turns of gradient ascent (continuous columns) and exchange of one coordinate (discrete ones).
    If the result is a near-duplicate of a known point, the best point of the Sobol sequence that
    is not one is taken instead: a model that underestimates the noise would else stay there.

    Parameters
    ----------
    acquisition : LogExpectedImprovement or WhereFeasible
    domain : Domain
    known : (n, d) array
        Points evaluated or pending.
    leaders : (k, d) array
        Best points evaluated, best first.
    rng : numpy.random.Generator

    Returns
    -------
    (d,) array, or None
        None when no unknown point was found, which happens only when a finite domain is exhausted.
    """
    seen = frozenset(keys(known))
    sobol = unseen(domain.snap(uniform_points(_N_SOBOL, len(domain.n_categories), rng)), seen)
    candidates = unseen(np.vstack([sobol, domain.snap(_perturbations(domain, leaders, rng))]), seen)
    if len(candidates) == 0:
        candidates = sobol = unseen_neighbours(domain, known)
        if len(candidates) == 0:
            return None
    values = acquisition(domain.features(candidates))
    starts = _spread(candidates, values)
    points, improved = _local_search(acquisition, domain, candidates[starts], values[starts], seen)
    winner = points[int(np.argmax(improved))]
    noisy = acquisition.process.design.hyperparameters.noise_variance >= _NOISY
    if len(sobol) and not noisy and _is_near_duplicate(acquisition, domain, winner[None])[0]:
        clear = np.flatnonzero(~_is_near_duplicate(acquisition, domain, sobol))
        if len(clear):
            return sobol[clear[int(np.argmax(values[clear]))]]  # type: ignore[no-any-return]
    return winner  # type: ignore[no-any-return]


def best_of(acquisition: Acquisition, domain: Domain, candidates: Array) -> Array:
    """The candidate of largest acquisition; the first of several equal ones."""
    return candidates[int(np.argmax(acquisition(domain.features(candidates))))]  # type: ignore[no-any-return]


def _perturbations(domain: Domain, leaders: Array, rng: np.random.Generator) -> Array:
    """Points near the leaders: about 2 + d/5 columns changed, by steps of two sizes."""
    n_columns = len(domain.n_categories)
    base = leaders[np.arange(_N_PERTURBED) % len(leaders)]
    size = np.where(np.arange(_N_PERTURBED) % 2 == 0, 0.1, 0.02)[:, None]
    changed = rng.random(base.shape) < (2.0 + 0.2 * n_columns) / n_columns
    changed[np.arange(_N_PERTURBED), rng.integers(n_columns, size=_N_PERTURBED)] = True
    step = size * rng.standard_normal(base.shape)
    for column, units in enumerate(domain.level_units):
        if units is not None and len(units) > 1:  # at least one level
            gap = 1.0 / len(units)
            step[:, column] = np.copysign(np.maximum(np.abs(step[:, column]), gap), step[:, column])
    moved = _reflect(base + step)
    resampled = rng.random(base.shape)
    unordered = np.asarray(domain.n_categories) > 0
    points = np.where(changed, np.where(unordered, resampled, moved), base)
    # columns that a change of branch makes active start anywhere; `snap` clears those still inactive
    return np.where(np.isnan(points), resampled, points)


def _reflect(points: Array) -> Array:
    """Coordinates outside [0, 1] mirrored at the border."""
    return 1.0 - np.abs(1.0 - np.mod(points, 2.0))


def _spread(candidates: Array, values: Array) -> NDArray[np.intp]:
    """Positions of the best candidates that are pairwise apart."""
    filled = np.nan_to_num(candidates, nan=0.5)
    chosen: list[int] = []
    for position in np.argsort(-values, kind="stable"):
        if all(np.max(np.abs(filled[position] - filled[other])) > _APART for other in chosen):
            chosen.append(int(position))
            if len(chosen) == _N_STARTS:
                break
    return np.array(chosen)


def _is_near_duplicate(acquisition: Acquisition, domain: Domain, points: Array) -> NDArray[np.bool_]:
    """Whether a known point, evaluated or pending, lies within a hundredth of a lengthscale."""
    design = acquisition.process.design
    distances = squared_distances(design.embedding(domain.features(points)), design.rows)
    return np.asarray(distances.min(axis=1) < _NEAR_DUPLICATE**2)


def unseen_neighbours(domain: Domain, known: Array) -> Array:
    """Unknown points that differ from a known one in one discrete coordinate.

    A finite domain that is not exhausted has some: its known points cannot be closed under exchanges.
    """
    seen = frozenset(keys(known))
    columns = [column for column, units in enumerate(domain.level_units) if units is not None]
    moved = [_exchanges(point, columns, domain.level_units, every=True) for point in known]
    return unseen(domain.snap(np.vstack(moved)), seen) if columns else known[:0]


def _local_search(
    acquisition: Acquisition, domain: Domain, points: Array, values: Array, seen: frozenset[bytes]
) -> tuple[Array, Array]:
    """Improve each point by turns of ascent and exchange, until neither helps."""
    continuous = np.array(
        [
            column
            for column, units in enumerate(domain.level_units)
            if domain.n_categories[column] == 0 and (units is None or len(units) > _ALL_LEVELS)
        ],
        dtype=np.intp,
    )
    discrete = [column for column, units in enumerate(domain.level_units) if units is not None and len(units) > 1]
    for turn in range(_ROUNDS):
        before = values
        if len(continuous):
            points, values = _ascend(acquisition, domain, points, values, continuous, seen)
        if not discrete:
            break
        if turn > 0 and np.all(values <= before):
            break
        points, exchanged = _exchange(acquisition, domain, points, values, discrete, seen)
        if np.all(exchanged <= values):
            break
        values = exchanged
    return points, values


def _ascend(
    acquisition: Acquisition,
    domain: Domain,
    points: Array,
    values: Array,
    columns: Indices,
    seen: frozenset[bytes],
) -> tuple[Array, Array]:
    """Gradient ascent in the active continuous columns of each point; kept where the legal result is better."""
    groups = feature_groups(domain.n_categories)
    features = domain.features(points)
    moving = np.flatnonzero(np.isin(groups, columns))  # ordered columns have one feature each
    active = ~np.isnan(points[:, columns])

    def value_and_gradient(coordinates: Array, rows: Indices) -> tuple[Array, Array]:
        moved = features[rows]
        moved[:, moving] = coordinates
        value, gradient = acquisition.value_and_gradient(moved)
        return value, np.where(active[rows], gradient[:, moving], 0.0)

    reached = points.copy()
    reached[:, columns] = np.where(active, climb(value_and_gradient, features[:, moving]), np.nan)
    return _keep_better(acquisition, domain, points, values, domain.snap(reached), seen)


def climb(value_and_gradient: Callable[[Array, Indices], tuple[Array, Array]], start: Array) -> Array:
    """Maximise a function over the unit cube from several starts at once, by projected BFGS.

    Every step evaluates all starts in one call. Coordinates at a bound whose gradient points
    outwards rest for the step; a step is shortened until it rises enough (Armijo), and its length
    is capped at 0.5 per coordinate.

    Parameters
    ----------
    value_and_gradient : callable
        (b, c) coordinates and their (b,) positions among the starts -> (b,) values, (b, c) gradients.
    start : (B, c) array

    Returns
    -------
    (B, c) array
        Never lower than the start.

    Examples
    --------
    >>> def parabola(x, rows):
    ...     return -np.sum((x - 0.3) ** 2, axis=1), -2 * (x - 0.3)
    >>> climb(parabola, np.array([[0.9, 0.1]])).round(4).tolist()
    [[0.3, 0.3]]
    """
    x = start.copy()
    value, gradient = value_and_gradient(x, np.arange(len(x)))
    inverse = np.zeros((len(x), x.shape[1], x.shape[1]))
    running = np.ones(len(x), dtype=bool)
    for _ in range(_ASCENT_STEPS):
        free = ~(((x <= 0.0) & (gradient < 0.0)) | ((x >= 1.0) & (gradient > 0.0)))
        direction = _direction(np.where(free, gradient, 0.0), inverse) * free
        length = np.abs(direction).max(axis=1, initial=0.0)
        running &= length > 1e-9
        if not running.any():
            break
        direction *= np.minimum(1.0, 0.5 / np.maximum(length, 1e-300))[:, None]
        old_x, old_value, old_gradient = x.copy(), value.copy(), gradient.copy()
        waiting, step = np.flatnonzero(running), 1.0
        for _ in range(8):
            trial = np.clip(old_x[waiting] + step * direction[waiting], 0.0, 1.0)
            trial_value, trial_gradient = value_and_gradient(trial, waiting)
            rise = np.einsum("ij,ij->i", old_gradient[waiting], trial - old_x[waiting])
            good = (trial_value >= old_value[waiting] + 1e-4 * rise) & (rise > 0.0)
            taken = waiting[good]
            x[taken], value[taken], gradient[taken] = trial[good], trial_value[good], trial_gradient[good]
            waiting = waiting[~good]
            if len(waiting) == 0:
                break
            step *= 0.3
        _update(inverse, (x - old_x) * free, (old_gradient - gradient) * free)
        running &= value > old_value + 1e-7
    return x


def _direction(gradient: Array, inverse: Array) -> Array:
    """Quasi-Newton ascent directions, one per row; a tenth of the cube along the gradient where there is none."""
    direction = np.einsum("bij,bj->bi", inverse, gradient)
    uphill = np.einsum("bi,bi->b", direction, gradient) > 0.0
    steepest = gradient * (0.1 / np.maximum(np.abs(gradient).max(axis=1, initial=0.0), 1e-300))[:, None]
    return np.asarray(np.where(uphill[:, None], direction, steepest))


def _update(inverse: Array, moved: Array, fallen: Array) -> None:
    """Update inverse Hessians of the negated function, (B, c, c), in place.

    The BFGS formula (Nocedal and Wright, 2006, Equation 6.17): `moved` (B, c) is the change of x,
    `fallen` that of the negated gradient. The first pair of a row scales the identity (Equation
    6.20); one that shows no positive curvature is skipped.
    """
    curvature = np.einsum("bi,bi->b", moved, fallen)
    norm = np.einsum("bi,bi->b", fallen, fallen)
    usable = curvature > 1e-10 * np.sqrt(norm * np.einsum("bi,bi->b", moved, moved)) + 1e-300
    rho = np.where(usable, 1.0 / np.where(usable, curvature, 1.0), 0.0)
    first = usable & ~inverse.any(axis=(1, 2))
    inverse[first] = np.eye(inverse.shape[1]) * (curvature[first] / norm[first])[:, None, None]
    product = np.einsum("bij,bj->bi", inverse, fallen)
    cross = moved[:, :, None] * product[:, None, :]
    stretch = rho * (1.0 + rho * np.einsum("bi,bi->b", fallen, product))
    inverse += stretch[:, None, None] * (moved[:, :, None] * moved[:, None, :])
    inverse -= rho[:, None, None] * (cross + cross.transpose(0, 2, 1))


def _exchange(
    acquisition: Acquisition,
    domain: Domain,
    points: Array,
    values: Array,
    columns: Sequence[int],
    seen: frozenset[bytes],
) -> tuple[Array, Array]:
    """Replace one discrete coordinate of each point by its best other level, while that helps."""
    points, values = points.copy(), values.copy()
    climbing = np.arange(len(points))
    for _ in range(_EXCHANGES):
        moved = [_exchanges(points[row], columns, domain.level_units) for row in climbing]
        neighbours = domain.snap(np.vstack(moved))
        scored = _guarded(acquisition, domain, neighbours, seen)
        ends = np.cumsum([len(block) for block in moved])
        still = []
        for row, start, stop in zip(climbing, ends - [len(block) for block in moved], ends, strict=True):
            best = start + int(np.argmax(scored[start:stop])) if stop > start else start
            if stop > start and scored[best] > values[row]:
                points[row], values[row] = neighbours[best], scored[best]
                still.append(row)
        if not still:
            break
        climbing = np.array(still)
    return points, values


def _exchanges(
    point: Array, columns: Sequence[int], level_units: Sequence[Array | None], *, every: bool = False
) -> Array:
    """The point with one active coordinate at another level: all levels if few (or `every`), else the nearest."""
    blocks = [np.empty((0, len(point)))]
    for column in columns:
        units = level_units[column]
        if units is None or np.isnan(point[column]):
            continue
        position = int(np.argmin(np.abs(units - point[column])))
        if len(units) > _ALL_LEVELS and not every:
            first = max(position - _NEAREST, 0)
            others = np.delete(units[first : position + _NEAREST + 1], position - first)
        else:
            others = np.delete(units, position)
        block = np.repeat(point[None], len(others), axis=0)
        block[:, column] = others
        blocks.append(block)
    return np.vstack(blocks)


def _keep_better(
    acquisition: Acquisition,
    domain: Domain,
    points: Array,
    values: Array,
    proposed: Array,
    seen: frozenset[bytes],
) -> tuple[Array, Array]:
    scored = _guarded(acquisition, domain, proposed, seen)
    better = scored > values
    return np.where(better[:, None], proposed, points), np.where(better, scored, values)


def _guarded(acquisition: Acquisition, domain: Domain, points: Array, seen: frozenset[bytes]) -> Array:
    """Values of the acquisition; -inf at known points."""
    known = np.fromiter((key in seen for key in keys(points)), dtype=bool, count=len(points))
    return np.where(known, -np.inf, acquisition(domain.features(points)))
