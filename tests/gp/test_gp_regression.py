"""Posterior against scikit-learn, derivatives against differences, prior against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize_scalar
from scipy.stats import lognorm, norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from sksearch.gp.features import expand
from sksearch.gp.regression import (
    NOISE_BOUNDS,
    Design,
    Hyperparameters,
    NegativeLogPosterior,
    cholesky,
    default_starts,
    fit,
    log_prior,
    matern52,
)

N_CATEGORIES = (0, 3, 0, 2)


def mixed_problem(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, Hyperparameters]:
    rng = np.random.default_rng(seed)
    points = rng.random((n, 4))
    points[rng.random(points.shape) < 0.1] = np.nan
    features, groups = expand(points, N_CATEGORIES)
    y = np.sin(5 * features[:, 0]) + features[:, 1] + 0.1 * rng.normal(size=n)
    return features, groups, (y - y.mean()) / (y.std() or 1.0), Hyperparameters(np.array([0.3, 0.8, 1.5, 0.6]), 0.02)


def scikit_learns(
    groups: np.ndarray, hyperparameters: Hyperparameters, extra: np.ndarray | float = 0.0
) -> GaussianProcessRegressor:
    kernel = Matern(length_scale=hyperparameters.lengthscales[groups], nu=2.5)
    return GaussianProcessRegressor(kernel, alpha=hyperparameters.noise_variance + extra, optimizer=None)


@pytest.mark.parametrize("n", [1, 2, 30, 150])
def test_posterior_equals_scikit_learns(n: int) -> None:
    features, groups, y, hyperparameters = mixed_problem(n)
    queries, _ = expand(np.random.default_rng(1).random((40, 4)), N_CATEGORIES)
    process = Design.of(features, groups, hyperparameters).given(y)
    reference = scikit_learns(groups, hyperparameters).fit(features, y - process.mean)
    mean, sd = reference.predict(queries, return_std=True)
    ours, variance = process.posterior(queries)
    assert ours == pytest.approx(mean + process.mean, abs=1e-10)
    assert variance == pytest.approx(sd**2, abs=1e-10)


def test_posterior_with_known_variances_equals_scikit_learns() -> None:
    features, groups, y, hyperparameters = mixed_problem(40)
    extra = np.where(np.arange(40) % 3 == 0, np.linspace(0.01, 2.0, 40), 0.0)
    queries, _ = expand(np.random.default_rng(1).random((40, 4)), N_CATEGORIES)
    process = Design.of(features, groups, hyperparameters, extra).given(y)
    reference = scikit_learns(groups, hyperparameters, extra).fit(features, y - process.mean)
    mean, sd = reference.predict(queries, return_std=True)
    assert process.posterior(queries)[0] == pytest.approx(mean + process.mean, abs=1e-10)
    assert process.posterior(queries)[1] == pytest.approx(sd**2, abs=1e-10)


def test_an_observation_of_endless_variance_counts_for_nothing() -> None:
    features, groups, y, hyperparameters = mixed_problem(20)
    extra = np.append(np.zeros(19), 1e12)
    queries = features + 0.05
    with_it = Design.of(features, groups, hyperparameters, extra).given(np.append(y[:19], 100.0)).posterior(queries)
    without = Design.of(features[:19], groups, hyperparameters).given(y[:19]).posterior(queries)
    assert with_it[0] == pytest.approx(without[0], abs=1e-8)
    assert with_it[1] == pytest.approx(without[1], abs=1e-8)


def test_prior_mean_is_the_generalised_least_squares_estimate() -> None:
    features, groups, y, hyperparameters = mixed_problem(25)
    process = Design.of(features, groups, hyperparameters).given(y)
    scaled = features / hyperparameters.lengthscales[groups]
    kernel = Matern(nu=2.5)(scaled) + hyperparameters.noise_variance * np.eye(25)
    precision = np.linalg.inv(kernel)
    assert process.mean == pytest.approx(precision.sum(axis=0) @ y / precision.sum(), rel=1e-9)
    assert process.weights == pytest.approx(precision @ (y - process.mean), rel=1e-7, abs=1e-9)


def test_kernel_slope_is_minus_twice_the_derivative() -> None:
    squared = np.array([1e-6, 0.1, 1.0, 9.0])
    step = 1e-7
    differences = -2 * (matern52(squared + step)[0] - matern52(squared - step)[0]) / (2 * step)
    assert matern52(squared)[1] == pytest.approx(differences, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_gradient_of_the_fit_agrees_with_differences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, groups, y, _ = mixed_problem(20, seed)
    objective = NegativeLogPosterior(features, groups, y)
    theta = np.append(rng.uniform(-2, 2, 4), rng.uniform(-8, 0))
    _, gradient = objective(theta)
    differences = approx_fprime(theta, lambda t: objective(t)[0], 1e-7)
    assert gradient == pytest.approx(differences, rel=1e-4, abs=1e-4 * np.abs(gradient).max() + 1e-5)


def test_gradient_of_the_fit_agrees_with_central_differences_closely() -> None:
    features, groups, y, hyperparameters = mixed_problem(30)
    objective = NegativeLogPosterior(features, groups, y)
    theta = np.log(np.append(hyperparameters.lengthscales, hyperparameters.noise_variance))
    _, gradient = objective(theta)
    for position in range(5):
        step = np.zeros(5)
        step[position] = 1e-5
        higher, lower = (objective(theta + sign * step)[0] for sign in (1, -1))
        assert gradient[position] == pytest.approx((higher - lower) / 2e-5, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_gradient_of_the_fit_with_warp_and_known_variances_agrees_with_central_differences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, groups, y, _ = mixed_problem(20, seed)
    extra, noise = rng.uniform(0, 0.5, 20), float(rng.uniform(1e-5, 1))
    objective = NegativeLogPosterior(features, groups, y, extra, warped=(0, 2), expected_noise=noise)
    theta = np.concatenate([rng.uniform(-1, 2, 4), rng.uniform(-6, 0, 1), rng.uniform(-1, 1, 4)])
    _, gradient = objective(theta)
    for position in range(len(theta)):
        step = np.zeros(len(theta))
        step[position] = 1e-5
        difference = (objective(theta + step)[0] - objective(theta - step)[0]) / 2e-5
        assert gradient[position] == pytest.approx(difference, rel=1e-5, abs=1e-5 * np.abs(gradient).max())


def test_a_warped_fit_is_the_plain_one_on_warped_features() -> None:
    features, groups, y, hyperparameters = mixed_problem(30)
    log_exponents = np.array([0.4, -0.7, 0.2, 0.9])
    theta = np.log(np.append(hyperparameters.lengthscales, hyperparameters.noise_variance))
    warped = features.copy()
    warped[:, 0] = 1 - (1 - features[:, 0] ** np.exp(0.4)) ** np.exp(0.2)
    warped[:, 4] = 1 - (1 - features[:, 4] ** np.exp(-0.7)) ** np.exp(0.9)
    with_warp = NegativeLogPosterior(features, groups, y, warped=(0, 2))
    value = with_warp(np.append(theta, log_exponents))[0] - np.sum(log_exponents**2) / (2 * 0.75**2)
    assert value == pytest.approx(NegativeLogPosterior(warped, groups, y)(theta)[0], rel=1e-10)
    found = with_warp.hyperparameters(np.append(theta, log_exponents))
    plain = Design.of(warped, groups, hyperparameters).given(y).posterior(warped[:7])
    assert Design.of(features, groups, found).given(y).posterior(features[:7])[0] == pytest.approx(plain[0], abs=1e-9)


def test_the_warp_finds_a_scale_that_was_given_wrongly() -> None:
    rng = np.random.default_rng(0)
    rate = rng.uniform(1e-4, 1.0, 80)
    y = -np.square(np.log10(rate) + 2.5)
    y = (y - y.mean()) / y.std()
    (plain, _), (warped, _) = fit(rate[:, None], np.arange(1), y), fit(rate[:, None], np.arange(1), y, warped=(0,))
    values = [
        NegativeLogPosterior(rate[:, None], np.arange(1), y, warped=(0,))(
            np.log(np.concatenate([f.lengthscales, [f.noise_variance], np.ones(2) if e is None else e[:, 0]]))
        )[0]
        for f, e in [(plain, None), (warped, warped.exponents)]
    ]
    assert values[1] < values[0] - 5
    assert warped.exponents is not None
    assert warped.exponents[0, 0] < 0.7  # stretches the small rates


def test_fit_minimises_scikit_learns_likelihood_plus_the_prior() -> None:
    features, groups, y, hyperparameters = mixed_problem(30)
    theta = np.log(np.append(hyperparameters.lengthscales, hyperparameters.noise_variance))
    mean = Design.of(features, groups, hyperparameters).given(y).mean
    reference = scikit_learns(groups, hyperparameters).fit(features, y - mean)
    expected = -reference.log_marginal_likelihood() - 0.5 * 30 * math.log(2 * math.pi) - log_prior(theta, 4)[0]
    assert NegativeLogPosterior(features, groups, y)(theta)[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("noise", [math.exp(-4), 0.3])
@pytest.mark.parametrize("d", [1, 4, 12])
def test_prior_is_the_density_of_lengthscales_and_variance_themselves(d: int, noise: float) -> None:
    rng = np.random.default_rng(d)

    def reference(theta: np.ndarray) -> float:
        lengths = lognorm(s=math.sqrt(3), scale=math.exp(math.sqrt(2) + 0.5 * math.log(d))).logpdf(np.exp(theta[:-1]))
        return float(lengths.sum() + lognorm(s=1, scale=noise).logpdf(math.exp(theta[-1])))

    one, other = rng.normal(size=(2, d + 1))
    difference = log_prior(one, d, noise)[0] - log_prior(other, d, noise)[0]
    assert difference == pytest.approx(reference(one) - reference(other), rel=1e-12)
    assert log_prior(one, d, noise)[1] == pytest.approx(approx_fprime(one, reference, 1e-7), abs=1e-5)


@pytest.mark.parametrize("noise", [1e-5, 1e-2, 0.5])
def test_where_the_data_do_not_tell_the_noise_is_the_mode_of_its_prior(noise: float) -> None:
    """One observation at its mean has the likelihood -log(1 + v) / 2, so log v = log m - 1 - v / (2 + 2 v)."""
    found = fit(np.array([[0.3, 0.4]]), np.array([0, 1]), np.array([0.0]), expected_noise=noise)[0].noise_variance
    assert math.log(found) == pytest.approx(math.log(noise) - 1 - found / (2 + 2 * found), abs=0.02)


@pytest.mark.parametrize("noise", [0.0, 1e-300, math.inf])
def test_an_expectation_outside_the_bounds_is_moved_into_them(noise: float) -> None:
    features, groups, y, _ = mixed_problem(12, 0)
    assert NOISE_BOUNDS[0] <= fit(features, groups, y, expected_noise=noise)[0].noise_variance <= NOISE_BOUNDS[1]


def test_prior_of_the_exponents_is_normal_in_their_logarithms() -> None:
    theta, flat = np.array([0.1, -4.0, 0.5, -1.2]), np.array([0.1, -4.0, 0.0, 0.0])
    expected = norm(scale=0.75).logpdf(theta[2:]).sum() - norm(scale=0.75).logpdf(flat[2:]).sum()
    assert log_prior(theta, 1)[0] - log_prior(flat, 1)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("d", [1, 4, 12])
def test_mode_of_the_lengthscale_prior_grows_with_the_root_of_the_dimension(d: int) -> None:
    found = minimize_scalar(
        lambda t: -log_prior(np.append(np.full(d, t), -4.0), d)[0], bounds=(-5, 5), method="bounded"
    )
    assert math.exp(found.x) == pytest.approx(0.205 * math.sqrt(d), rel=1e-2)


def test_fit_finds_a_better_posterior_than_every_start() -> None:
    features, groups, y, _ = mixed_problem(40)
    objective = NegativeLogPosterior(features, groups, y)
    found, _ = fit(features, groups, y)
    theta = np.log(np.append(found.lengthscales, found.noise_variance))
    value, gradient = objective(theta)
    assert all(value < objective(start)[0] for start in default_starts(4))
    inner = theta > math.log(1.01e-6)
    assert np.abs(gradient[inner]).max() < 0.2


def test_a_warm_start_is_one_more_start_and_leaves_no_trace_in_the_next() -> None:
    features, groups, y, _ = mixed_problem(40)
    objective = NegativeLogPosterior(features, groups, y)

    def density(found: Hyperparameters) -> float:
        return -objective(np.log(np.append(found.lengthscales, found.noise_variance)))[0]

    cold, next_start = fit(features, groups, y)
    assert np.exp(next_start) == pytest.approx([*cold.lengthscales, cold.noise_variance], rel=1e-12)
    for seed in range(10):
        warm_start = np.random.default_rng(seed).uniform(-3, 2, 5)
        warm, same = fit(features, groups, y, warm_start=warm_start)
        assert density(warm) >= density(cold)
        assert np.array_equal(same, next_start)


def test_a_warm_start_reaches_a_mode_that_the_default_starts_miss() -> None:
    # between signal and noise: a step in one column, which nothing hints at from long lengthscales
    rng = np.random.default_rng(12)
    better = 0
    for _ in range(40):
        X = rng.random((14, 3))
        y = np.sign(np.sin(25 * X[:, 0])) + 0.1 * rng.standard_normal(14)
        y = (y - y.mean()) / y.std()
        objective = NegativeLogPosterior(X, np.arange(3), y)
        cold, _ = fit(X, np.arange(3), y)
        warm, _ = fit(X, np.arange(3), y, warm_start=np.log([0.1, 5.0, 5.0, 0.01]))
        values = [objective(np.log(np.append(found.lengthscales, found.noise_variance)))[0] for found in (cold, warm)]
        assert values[1] <= values[0]
        better += values[1] < values[0] - 0.05
    assert better > 0


def test_fit_recognises_which_columns_matter() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((60, 3))
    y = np.sin(6 * X[:, 1])
    found, _ = fit(X, np.arange(3), (y - y.mean()) / y.std())
    assert found.lengthscales[1] < 0.5 * found.lengthscales[[0, 2]].min()


def test_posterior_does_not_depend_on_the_order_of_observations() -> None:
    features, groups, y, hyperparameters = mixed_problem(50)
    order = np.random.default_rng(3).permutation(50)
    queries = features[:10] * 0.9
    one = Design.of(features, groups, hyperparameters).given(y).posterior(queries)
    other = Design.of(features[order], groups, hyperparameters).given(y[order]).posterior(queries)
    assert one[0] == pytest.approx(other[0], abs=1e-10)
    assert one[1] == pytest.approx(other[1], abs=1e-10)


def test_appending_equals_factorising_at_once() -> None:
    features, groups, y, hyperparameters = mixed_problem(200)
    extra = np.random.default_rng(9).uniform(0, 0.1, 200)
    appended = Design.of(features[:20], groups, hyperparameters, extra[:20])
    for row in range(20, 200):
        appended = appended.append(features[row : row + 1], extra[row : row + 1])
    kernel, _ = matern52(np.square(appended.rows[:, None] - appended.rows).sum(axis=2))
    kernel[np.diag_indices(200)] += hyperparameters.noise_variance + extra
    assert appended.factor == pytest.approx(np.linalg.cholesky(kernel), abs=1e-10)
    at_once = Design.of(features, groups, hyperparameters, extra).given(y)
    assert appended.given(y).weights == pytest.approx(at_once.weights, abs=1e-8)


def test_extending_leaves_the_original_untouched_and_draws_from_the_posterior_distribution() -> None:
    features, groups, y, hyperparameters = mixed_problem(30)
    process = Design.of(features, groups, hyperparameters).given(y)
    before = process.weights.tobytes()
    queries, _ = expand(np.random.default_rng(5).random((3, 4)), N_CATEGORIES)
    _, values = process.extend(queries, np.random.default_rng(6).standard_normal((3, 200_000)))
    assert process.weights.tobytes() == before
    reference = scikit_learns(groups, hyperparameters).fit(features, y - process.mean)
    mean, covariance = reference.predict(queries, return_cov=True)
    assert values.mean(axis=1) == pytest.approx(mean + process.mean, abs=5 * math.sqrt(covariance.max() / 200_000))
    assert np.cov(values) == pytest.approx(covariance, abs=0.02 * covariance.max())


def test_exact_duplicates_weigh_as_their_mean_with_less_noise() -> None:
    features, groups, y, hyperparameters = mixed_problem(10)
    twice = Design.of(np.vstack([features] * 2), groups, hyperparameters).given(np.append(y, y))
    half_noise = Hyperparameters(hyperparameters.lengthscales, hyperparameters.noise_variance / 2)
    once = Design.of(features, groups, half_noise).given(y)
    queries = features + 0.01
    assert twice.posterior(queries)[0] == pytest.approx(once.posterior(queries)[0], abs=1e-10)
    assert twice.posterior(queries)[1] == pytest.approx(once.posterior(queries)[1], abs=1e-10)


@pytest.mark.parametrize("n", [1, 2, 50])
@pytest.mark.parametrize("kind", ["constant", "duplicates"])
def test_degenerate_data_are_fitted(n: int, kind: str) -> None:
    X = np.full((n, 2), 0.5) if kind == "duplicates" else np.random.default_rng(0).random((n, 2))
    y = np.zeros(n) if kind == "constant" else np.linspace(-1, 1, n)
    groups = np.arange(2)
    hyperparameters, _ = fit(X, groups, y)
    mean, variance = Design.of(X, groups, hyperparameters).given(y).posterior(X)
    assert np.isfinite(mean).all()
    assert ((variance >= 0) & (variance <= 1)).all()


def test_a_singular_matrix_gets_jitter() -> None:
    factor = cholesky(np.ones((5, 5)))
    assert factor @ factor.T == pytest.approx(np.ones((5, 5)), abs=1e-3)


def test_a_matrix_that_is_not_finite_raises() -> None:
    with pytest.raises(ValueError, match="not finite"):
        cholesky(np.full((2, 2), np.nan))
