"""Maximisation against exhaustive search and grids; legality, novelty, near-duplicates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import ndtri

from sksearch.gp.acquisition import LogExpectedImprovement
from sksearch.gp.features import feature_groups
from sksearch.gp.maximize import Domain, best_of, climb, keys, maximize, unseen, unseen_neighbours
from sksearch.gp.regression import Design, Hyperparameters
from sksearch.gp.sobol import uniform_points


def domain_of(kinds: list[int | str]) -> Domain:
    """`"real"`, an int for that many ordered levels, or `"catC"` for C categories, per column."""
    units: list[np.ndarray | None] = []
    categories = []
    for kind in kinds:
        count = 0 if kind == "real" else int(str(kind).removeprefix("cat"))
        units.append((np.arange(count) + 0.5) / count if count else None)
        categories.append(count if str(kind).startswith("cat") else 0)

    def snap(points: np.ndarray) -> np.ndarray:
        filled = np.clip(np.where(np.isnan(points), 0.5, points), 0.0, 1.0)
        for column, levels in enumerate(units):
            if levels is not None:
                filled[:, column] = levels[np.minimum((filled[:, column] * len(levels)).astype(int), len(levels) - 1)]
        return filled

    return Domain(tuple(categories), tuple(units), snap)


def conditional_domain() -> Domain:
    """Branch 0 has a real column, branch 1 an integer and a category."""
    plain = domain_of(["cat2", "real", 5, "cat3"])

    def snap(points: np.ndarray) -> np.ndarray:
        snapped = plain.snap(points)
        first = snapped[:, 0] < 0.5
        snapped[first, 2:] = np.nan
        snapped[~first, 1] = np.nan
        return snapped

    return Domain(plain.n_categories, plain.level_units, snap)


def random_problem(
    domain: Domain, seed: int, n: int = 15, noise: float = 1e-3
) -> tuple[LogExpectedImprovement, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    d = len(domain.n_categories)
    known = unseen(domain.snap(rng.random((n, d))), frozenset())
    y = rng.standard_normal(len(known))
    lengthscales = np.exp(rng.uniform(np.log(0.2), np.log(2.0), d))
    groups = feature_groups(domain.n_categories)
    process = Design.of(domain.features(known), groups, Hyperparameters(lengthscales, noise)).given(y)
    acquisition = LogExpectedImprovement(process, process.weights[:, None], np.array([y.max()]))
    return acquisition, known, known[np.argsort(-y)[:5]]


def all_points(domain: Domain) -> np.ndarray:
    return np.array(list(itertools.product(*domain.level_units)))


def test_local_search_finds_the_exhaustive_maximum_of_finite_domains() -> None:
    found = 0
    kinds_of = [[7, "cat5", 30, "cat3"], [4, 4, 4, 4, "cat4"], ["cat2", 60, 20], [2, 2, 2, 2, 2, 2, 2, 2, 2, "cat6"]]
    for seed in range(100):
        domain = domain_of(kinds_of[seed % 4])
        acquisition, known, leaders = random_problem(domain, seed)
        point = maximize(acquisition, domain, known, leaders, np.random.default_rng(seed))
        everything = unseen(all_points(domain), frozenset(keys(known)))
        exact = acquisition(domain.features(everything)).max()
        found += acquisition(domain.features(point[None]))[0] >= exact - 1e-9
    assert found >= 95


def test_best_of_is_the_first_maximum() -> None:
    domain = domain_of([7, "cat5"])
    acquisition, _, _ = random_problem(domain, 0)
    candidates = np.vstack([all_points(domain)] * 2)
    values = acquisition(domain.features(candidates))
    assert (best_of(acquisition, domain, candidates) == candidates[values.argmax()]).all()


def test_continuous_maximum_agrees_with_a_fine_grid() -> None:
    domain = domain_of(["real", "real"])
    axis = np.linspace(0, 1, 401)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    reached = []
    for seed in range(20):
        acquisition, known, leaders = random_problem(domain, seed, n=10)
        point = maximize(acquisition, domain, known, leaders, np.random.default_rng(seed))
        reached.append(acquisition(point[None])[0] - acquisition(grid).max())
    assert np.sum(np.array(reached) > -1e-3) >= 19


@pytest.mark.parametrize("kinds", [["real", "cat3", 6], ["real", "real", 100, "cat20", 2], [5000, "cat2"]])
def test_result_is_legal_and_new(kinds: list[int | str]) -> None:
    domain = domain_of(kinds)
    for seed in range(5):
        acquisition, known, leaders = random_problem(domain, seed)
        point = maximize(acquisition, domain, known, leaders, np.random.default_rng(seed))
        assert point is not None
        assert (domain.snap(point[None])[0] == point).all()
        assert not set(keys(point[None])) & set(keys(known))


def test_result_is_the_same_for_the_same_generator_and_differs_for_another() -> None:
    domain = domain_of(["real"] * 4)
    acquisition, known, leaders = random_problem(domain, 0)
    one, two, three = (maximize(acquisition, domain, known, leaders, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one is not None
    assert (one == two).all()
    assert not (one == three).all()


def test_mixed_maximum_is_at_least_that_of_many_random_points() -> None:
    domain = domain_of(["real", "real", 12, "cat4", "real"])
    short = 0
    for seed in range(20):
        acquisition, known, leaders = random_problem(domain, seed)
        point = maximize(acquisition, domain, known, leaders, np.random.default_rng(seed))
        random = domain.snap(np.random.default_rng(seed + 1000).random((20_000, 5)))
        short += acquisition(domain.features(point[None]))[0] < acquisition(domain.features(random)).max() - 1e-3
    assert short <= 2


def test_both_branches_of_a_conditional_domain_are_searched() -> None:
    domain = conditional_domain()
    branches = set()
    for seed in range(12):
        acquisition, known, leaders = random_problem(domain, seed)
        point = maximize(acquisition, domain, known, leaders, np.random.default_rng(seed))
        assert point is not None
        assert np.array_equal(domain.snap(point[None])[0], point, equal_nan=True)
        branches.add(float(point[0]))
    assert branches == {0.25, 0.75}


def test_a_near_duplicate_of_a_known_point_is_not_returned() -> None:
    """All but noiseless data around an incumbent: improvement is promised only next to it."""
    domain = domain_of(["real", "real"])
    incumbent = np.array([0.5, 0.5])
    steps = np.array([[0.0, 0.0], [1e-3, 0.0], [-1e-3, 0.0], [0.0, 1e-3], [0.0, -1e-3]])
    known = np.vstack([incumbent + steps, np.random.default_rng(0).random((20, 2))])
    y = -np.square(known - incumbent).sum(axis=1) * 50
    y[0] -= 1e-4
    process = Design.of(known, np.arange(2), Hyperparameters(np.array([0.5, 0.5]), 1e-6)).given(y)
    acquisition = LogExpectedImprovement(process, process.weights[:, None], np.array([y.max()]))
    for seed in range(10):
        point = maximize(acquisition, domain, known, known[:5], np.random.default_rng(seed))
        assert point is not None
        assert np.sqrt(np.square((point - known) / 0.5).sum(axis=1)).min() >= 0.01


def test_the_last_unknown_points_are_found_and_then_none() -> None:
    domain = domain_of(["cat3", 4])
    everything = all_points(domain)
    acquisition, _, leaders = random_problem(domain, 0, n=4)
    for n_left in (3, 1):
        point = maximize(acquisition, domain, everything[n_left:], leaders, np.random.default_rng(0))
        assert point is not None
        assert set(keys(point[None])) <= set(keys(everything[:n_left]))
    assert maximize(acquisition, domain, everything, leaders, np.random.default_rng(0)) is None


def test_neighbours_of_known_points_reach_every_point_left() -> None:
    domain = domain_of([40, 110])
    everything = all_points(domain)
    assert unseen_neighbours(domain, everything[:-1]).tolist() == everything[-1:].tolist()
    assert len(unseen_neighbours(domain, everything)) == 0


def test_unseen_keeps_the_first_of_equal_points_in_order() -> None:
    points = np.array([[0.5, np.nan], [0.2, 0.1], [0.5, np.nan], [0.9, 0.9]])
    assert np.nan_to_num(unseen(points, frozenset(keys(points[3:])))).tolist() == [[0.5, 0.0], [0.2, 0.1]]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_climb_solves_concave_problems_with_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 4))
    matrix, centre = root @ root.T + 0.3 * np.eye(4), rng.uniform(-0.5, 1.5, 4)

    def value_and_gradient(x: np.ndarray, _rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gap = x - centre
        return -0.5 * np.einsum("ij,jk,ik->i", gap, matrix, gap), -gap @ matrix

    start = rng.random((3, 4))
    reached = value_and_gradient(climb(value_and_gradient, start), np.arange(3))[0]
    best = minimize(
        lambda x: -value_and_gradient(x[None], np.arange(1))[0][0], start[0], bounds=[(0, 1)] * 4, method="L-BFGS-B"
    )
    assert reached == pytest.approx(np.full(3, -best.fun), abs=1e-3)


def test_climb_never_ends_below_its_start() -> None:
    def ripples(x: np.ndarray, _rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.sin(40 * x).sum(axis=1), 40 * np.cos(40 * x)

    start = np.random.default_rng(0).random((50, 3))
    end = climb(ripples, start)
    assert (ripples(end, np.arange(50))[0] >= ripples(start, np.arange(50))[0]).all()
    assert ((end >= 0) & (end <= 1)).all()


def test_a_near_duplicate_may_be_the_best_where_there_is_noise() -> None:
    """A column full of scores that are noise alone: nothing is far from a known point."""
    domain = domain_of(["real"])
    for seed in range(4):
        rng = np.random.default_rng(seed)
        known = rng.random((100, 1))
        y = rng.standard_normal(100)
        process = Design.of(known, np.arange(1), Hyperparameters(np.array([1.2]), 0.95)).given(y)
        normals = ndtri(uniform_points(32, 16, rng)).T
        acquisition = LogExpectedImprovement.of(process, known[np.argsort(-y)[:16]], normals)
        point = maximize(acquisition, domain, known, known[np.argsort(-y)[:5]], rng)
        assert point is not None
        assert acquisition(point[None])[0] >= acquisition(rng.random((200, 1))).max() - 0.5
