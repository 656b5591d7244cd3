"""Features: Hamming distance for categories, neutral inactive columns, positive semidefinite kernels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sksearch.gp.features import expand, feature_groups
from sksearch.gp.regression import matern52, squared_distances


def test_an_ordered_column_is_its_own_feature_and_neutral_where_inactive() -> None:
    features, groups = expand(np.array([[0.25], [np.nan]]), [0])
    assert features.tolist() == [[0.25], [0.5]]
    assert groups.tolist() == [0]


def column_distances(features: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Squared distances of all pairs, (d, n, n)."""
    squares = np.square(features[:, None] - features)
    return np.array([squares[..., groups == column].sum(axis=2) for column in range(groups[-1] + 1)])


def test_distance_of_categories_is_hamming() -> None:
    n_categories = [3, 2]
    points = np.array([[(a + 0.5) / 3, (b + 0.5) / 2] for a in range(3) for b in range(2)])
    features, groups = expand(points, n_categories)
    distances = column_distances(features, groups)
    for i, left in enumerate(points):
        for j, right in enumerate(points):
            assert distances[:, i, j] == pytest.approx((left != right).astype(float), abs=1e-15)


def test_an_inactive_category_is_halfway_to_each() -> None:
    features, groups = expand(np.array([[np.nan], [0.1], [0.9]]), [4])
    assert column_distances(features, groups)[0, 0].tolist() == pytest.approx([0.0, 0.5, 0.5])


@pytest.mark.parametrize("coordinate", [0.0, 0.1, 0.3333, 0.3334, 0.6667, 1.0])
def test_any_coordinate_of_a_cell_is_its_category(coordinate: float) -> None:
    features, _ = expand(np.array([[coordinate]]), [3])
    assert features[0].argmax() == min(int(coordinate * 3), 2)
    assert np.count_nonzero(features) == 1


def test_groups_agree_with_expansion() -> None:
    n_categories = [0, 4, 0, 1, 2]
    assert expand(np.full((2, 5), 0.3), n_categories)[1].tolist() == feature_groups(n_categories).tolist()


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_categories=st.lists(st.sampled_from([0, 0, 2, 3, 7]), min_size=1, max_size=6))
def test_kernel_of_mixed_conditional_points_is_positive_semidefinite(seed: int, n_categories: list[int]) -> None:
    rng = np.random.default_rng(seed)
    points = rng.random((25, len(n_categories)))
    points[rng.random(points.shape) < 0.3] = np.nan
    features, groups = expand(points, n_categories)
    lengthscales = np.exp(rng.uniform(-3, 3, len(n_categories)))
    scaled = features / lengthscales[groups]
    kernel, _ = matern52(squared_distances(scaled, scaled))
    assert np.linalg.eigvalsh(kernel).min() > -1e-9
