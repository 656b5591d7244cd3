"""Half-rank warp: monotone, exact in the good half, the same for every scale, defined for every score."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from sksearch.gp.transform import HalfRankWarp

finite = st.floats(allow_nan=False, allow_infinity=False)


def warped(scores: list[float]) -> np.ndarray:
    values = np.array(scores)
    return HalfRankWarp.fit(values).transform(values)


def standardised(values: list[float]) -> np.ndarray:
    array = np.array(values)
    return (array - array.mean()) / array.std()


def test_bad_half_becomes_normal_quantiles_of_dense_ranks() -> None:
    # the median is the score 3; the good scores 3, 4, 6 give s = sqrt((0 + 1 + 9) / 3), the two below D = 2.5
    s = np.sqrt(10 / 3)
    expected = [3 + s * norm.ppf(0.5 * 0.5 / 2.5), 3 + s * norm.ppf(0.5 * 1.5 / 2.5), 3, 4, 6]
    assert warped([-100.0, 2.9, 3.0, 4.0, 6.0]) == pytest.approx(standardised(expected), rel=1e-12)


def test_median_between_two_scores_counts_no_half_rank() -> None:
    s = np.sqrt((0.5**2 + 1.5**2) / 2)
    expected = [2.5 + s * norm.ppf(0.5 * 0.5 / 2), 2.5 + s * norm.ppf(0.5 * 1.5 / 2), 3, 4]
    assert warped([1.0, 2.0, 3.0, 4.0]) == pytest.approx(standardised(expected), rel=1e-12)


def test_ties_stay_ties_and_count_once() -> None:
    z = warped([0.1, 0.1, 0.1, 0.5, 0.7, 0.7, 0.9])
    assert len({float(value) for value in z[:3]}) == 1
    s = np.sqrt((0.0 + 0.2**2 + 0.4**2) / 3)
    low = 0.5 + s * norm.ppf(0.5 * 0.5 / 1.5)
    assert z == pytest.approx(standardised([low, low, low, 0.5, 0.7, 0.7, 0.9]), rel=1e-10)


def test_failed_trials_are_ranked_once_below_every_score() -> None:
    z = warped([0.2, np.nan, 0.6, 0.8, np.nan])
    s = np.sqrt((0.0 + 0.2**2) / 2)
    failed, low = (0.6 + s * norm.ppf(0.5 * q / 2.5) for q in (0.5, 1.5))
    assert z == pytest.approx(standardised([low, failed, 0.6, 0.8, failed]), rel=1e-10)


@pytest.mark.parametrize("scores", [[0.5, np.nan], [0.5, 0.5, np.nan, np.nan, np.nan]])
def test_failed_trials_are_worse_than_equal_scores(scores: list[float]) -> None:
    z = warped(scores)
    assert z[0] > z[-1]
    assert np.isfinite(z).all()


def test_good_half_is_affine() -> None:
    scores = np.random.default_rng(0).standard_cauchy(41)
    good = np.sort(scores)[20:]
    z = HalfRankWarp.fit(scores).transform(good)
    assert np.diff(z) / np.diff(good) == pytest.approx(np.full(20, (z[-1] - z[0]) / (good[-1] - good[0])), rel=1e-9)


@settings(max_examples=300, deadline=None)
@given(scores=st.lists(st.one_of(finite, st.just(np.nan)), min_size=1, max_size=30))
def test_any_scores_give_finite_monotone_values_without_warning(scores: list[float]) -> None:
    values = np.array(scores)
    if np.isnan(values).all():
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warp = HalfRankWarp.fit(values)
        z = warp.transform(values)
        warp.inverse(z)
    assert np.isfinite(z).all()
    order = np.argsort(values[~np.isnan(values)])
    assert (np.diff(z[~np.isnan(values)][order]) >= 0).all()
    assert abs(z.mean()) < 1e-6
    assert z.std() == pytest.approx(1.0) or not z.any()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), power=st.integers(-300, 300))
def test_a_power_of_two_changes_no_bit(seed: int, power: int) -> None:
    scores = np.random.default_rng(seed).normal(size=17)
    expected = HalfRankWarp.fit(scores).transform(scores)
    scaled = np.ldexp(scores, power)
    assert (HalfRankWarp.fit(scaled).transform(scaled) == expected).all()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), slope=st.floats(1e-3, 1e3), shift=st.floats(-100, 100))
def test_affine_changes_of_the_scores_do_not_matter(seed: int, slope: float, shift: float) -> None:
    scores = np.random.default_rng(seed).normal(size=17)
    moved = shift + slope * scores
    expected = HalfRankWarp.fit(scores).transform(scores)
    assert HalfRankWarp.fit(moved).transform(moved) == pytest.approx(expected, abs=1e-7)


def test_inverse_returns_the_scores_and_continues_beyond_them() -> None:
    scores = np.array([-50.0, 0.1, 0.7, 0.8, 0.95])
    warp = HalfRankWarp.fit(scores)
    z = warp.transform(scores)
    assert warp.inverse(z) == pytest.approx(scores, rel=1e-12)
    # above the best score the map goes on with the slope of the good half
    slope = (scores[-1] - scores[-2]) / (z[-1] - z[-2])
    assert warp.inverse(z[-1:] + 1.5) == pytest.approx(scores[-1:] + 1.5 * slope)
    assert (np.diff(warp.inverse(np.linspace(-5, 5, 100))) > 0).all()


def test_equal_scores_have_equal_inverse() -> None:
    warp = HalfRankWarp.fit(np.array([0.3, 0.3]))
    assert warp.transform(np.array([0.3, 0.3])).tolist() == [0.0, 0.0]
    assert warp.inverse(np.array([-1.0, 2.0])).tolist() == [0.3, 0.3]


def test_deviations_of_good_scores_are_theirs_over_the_slope() -> None:
    scores = np.random.default_rng(0).normal(size=60)
    warp = HalfRankWarp.fit(scores)
    z = warp.transform(scores)
    good = np.flatnonzero(scores > np.quantile(scores, 0.6))
    scale = np.diff(np.sort(scores[good])).sum() / np.diff(np.sort(z[good])).sum()
    found = warp.deviations(scores[good], np.full(len(good), 0.01))
    assert found == pytest.approx(np.full(len(good), 0.01 / scale), rel=1e-6)
    assert warp.in_good_half(0.01) == pytest.approx(0.01 / scale, rel=1e-6)


@pytest.mark.parametrize("scores", [[0.3], [0.3, 0.3, 0.3], [0.3, np.nan]])
def test_equal_scores_have_no_scale_for_a_deviation(scores: list[float]) -> None:
    assert HalfRankWarp.fit(np.array(scores)).in_good_half(0.01) == 0.0


def test_the_deviation_of_a_disaster_is_no_larger_than_of_a_good_score_and_of_a_failure_none() -> None:
    scores = np.array([0.5, 0.6, 0.7, 0.8, -1e9, np.nan])
    found = HalfRankWarp.fit(scores).deviations(scores, np.full(6, 0.01))
    assert 0 <= found[4] < found[3]
    assert found[5] == 0.0
    assert HalfRankWarp.fit(np.ones(3)).deviations(np.ones(3), np.full(3, 0.5)).tolist() == [0.0, 0.0, 0.0]
