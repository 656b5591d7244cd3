"""Scrambled Sobol points: the equal spread that defines the sequence, prefixes, uniformity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, qmc

from sksearch.gp.sobol import uniform_points


@pytest.mark.parametrize("n_points", [1, 2, 16, 256, 4096])
def test_every_column_has_one_point_per_cell(n_points):
    points = uniform_points(n_points, 7, np.random.default_rng(0))
    for column in points.T:
        assert sorted(np.floor(column * n_points)) == list(range(n_points))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_first_two_columns_are_a_digital_net(seed):
    points = uniform_points(64, 2, np.random.default_rng(seed))
    for power in range(7):  # each box of volume 1/64 holds one point
        boxes = np.floor(points * [2**power, 2 ** (6 - power)])
        assert len(np.unique(boxes, axis=0)) == 64


def test_fewer_points_are_a_prefix():
    few, many = (uniform_points(n, 5, np.random.default_rng(3)) for n in (32, 4096))
    assert (few == many[:32]).all()


def test_without_scrambling_it_is_scipys_sequence():
    class Plain:
        """Identity matrices and no shift."""

        def integers(self, _, size):
            return np.zeros(size, dtype=np.int64)

    points = uniform_points(512, 6, Plain())
    assert points == pytest.approx(qmc.Sobol(6, scramble=False).random(512), abs=2.0**-30)


def test_a_single_point_is_uniform_over_seeds():
    first = np.array([uniform_points(1, 2, np.random.default_rng(seed))[0] for seed in range(500)])
    assert kstest(first[:, 0], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(first.T)[0, 1]) < 0.2


def test_scrambling_keeps_the_discrepancy_low():
    scrambled = [qmc.discrepancy(uniform_points(128, 4, np.random.default_rng(seed))) for seed in range(20)]
    random = [qmc.discrepancy(np.random.default_rng(seed).random((128, 4))) for seed in range(20)]
    assert max(scrambled) < 0.3 * np.median(random)
