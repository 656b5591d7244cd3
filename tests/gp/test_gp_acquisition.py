"""Log expected improvement against 60-digit arithmetic, closed forms, Monte Carlo and differences."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtri
from scipy.stats import norm

from sksearch.gp.acquisition import LogExpectedImprovement, WhereFeasible, log_h
from sksearch.gp.regression import Design, GaussianProcess, Hyperparameters
from sksearch.gp.sobol import uniform_points

TABLE = [
    (-1.0, -2.48512102571264),
    (-5.0, -16.744301162661),
    (-10.0, -55.5531220361224),
    (-25.1, -322.374409872464),
    (-100.0, -5010.129578800248),
]


def exact_log_h(z: float) -> tuple[float, float]:
    with mpmath.workdps(60 + 2 * int(math.log10(1 + abs(z)))):
        x = mpmath.mpf(z)
        cumulative = mpmath.erfc(-x / mpmath.sqrt(2)) / 2
        h = mpmath.npdf(x) + x * cumulative
        return float(mpmath.log(h)), float(cumulative / h)


@pytest.mark.parametrize(("z", "expected"), TABLE)
def test_log_h_matches_the_reference_table(z: float, expected: float) -> None:
    assert log_h(np.array([z]))[0][0] == pytest.approx(expected, rel=1e-14)


NEAR = [10.0, 3.0, 0.1, 0.0, -0.5, -0.999999, -1.0, -1.000001]
FAR = [-2.0, -7.3, -30.0, -99.99, -100.01, -333.0, -1e3, -4321.0, -1e4, -1e6]


@pytest.mark.parametrize("z", NEAR + FAR)
def test_log_h_and_its_derivative_match_60_digit_arithmetic(z: float) -> None:
    value, derivative = log_h(np.array([z]))
    exact_value, exact_derivative = exact_log_h(z)
    assert value[0] == pytest.approx(exact_value, rel=2e-15, abs=1e-15)
    # the bracket 1 - |z| M loses about |z|^2 ulps, down to where the series takes over
    assert derivative[0] == pytest.approx(exact_derivative, rel=1e-13 + 2e-16 * min(z * z, 1e4))


@settings(max_examples=300, deadline=None)
@given(st.floats(-1e100, 1e100), st.floats(0, 1))
def test_log_h_is_finite_and_increasing_everywhere(z: float, gap: float) -> None:
    value, derivative = log_h(np.array([z, z + gap * (1 + abs(z))]))
    assert np.isfinite(value).all()
    assert np.isfinite(derivative).all()
    assert (derivative >= 0).all()
    assert value[1] >= value[0] - 4e-15 * abs(value[0])


def test_log_h_survives_any_float() -> None:
    value, derivative = log_h(np.array([-1.7e308, -np.inf, 1e300]))
    assert np.isfinite(value[:2]).all()
    assert np.isfinite(derivative).all()


@pytest.mark.parametrize("z", [-1e3, -100.0, -10.0, -1.0, 0.0, 1.0, 5.0])
def test_derivative_agrees_with_differences(z: float) -> None:
    step = 1e-6 * max(1.0, abs(z))
    higher, lower = log_h(np.array([z + step, z - step]))[0]
    assert log_h(np.array([z]))[1][0] == pytest.approx((higher - lower) / (2 * step), rel=1e-5)


def problem(n: int = 12, d: int = 3, noise: float = 0.01) -> tuple[GaussianProcess, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.random((n, d))
    y = np.sin(5 * X[:, 0]) - X[:, -1] ** 2
    y = (y - y.mean()) / y.std()
    return Design.of(X, np.arange(d), Hyperparameters(np.linspace(0.3, 0.9, d), noise)).given(y), y


def plain(process: GaussianProcess, best: float) -> LogExpectedImprovement:
    """Over a known incumbent."""
    return LogExpectedImprovement(process, process.weights[:, None], np.array([best]))


def observed(process: GaussianProcess) -> np.ndarray:
    """Features of the observations."""
    return process.design.rows * process.design.embedding.scales


def expected_improvement(mean: np.ndarray, sd: np.ndarray, best: np.ndarray | float) -> np.ndarray:
    z = (mean - best) / sd
    return sd * (norm.pdf(z) + z * norm.cdf(z))


def test_acquisition_is_the_logarithm_of_the_closed_form() -> None:
    process, y = problem()
    queries = np.random.default_rng(1).random((50, 3))
    mean, variance = process.posterior(queries)
    values = plain(process, y.max())(queries)
    likely = (mean - y.max()) / np.sqrt(variance) > -4  # further out the closed form cancels
    assert likely.sum() > 10
    expected = expected_improvement(mean, np.sqrt(variance), y.max())
    assert np.exp(values)[likely] == pytest.approx(expected[likely], rel=1e-9)


@pytest.mark.parametrize("n_known", [1, 5])
@pytest.mark.parametrize("believer", [False, True])
def test_gradient_agrees_with_differences(n_known: int, believer: bool) -> None:
    process, _ = problem()
    rng = np.random.default_rng(2)
    normals = np.zeros((n_known, 1)) if believer else rng.standard_normal((n_known, 32))
    acquisition = LogExpectedImprovement.of(process, rng.random((n_known, 3)), normals)
    queries = rng.random((20, 3))
    value, gradient = acquisition.value_and_gradient(queries)
    assert value == pytest.approx(acquisition(queries), rel=1e-12)
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-6
        differences = (acquisition(queries + step) - acquisition(queries - step)) / 2e-6
        assert gradient[:, column] == pytest.approx(differences, rel=1e-4, abs=1e-4)


def test_without_noise_it_is_that_over_the_best_observation() -> None:
    process, y = problem(noise=1e-7)
    queries = np.random.default_rng(1).random((20, 3))
    normals = np.random.default_rng(2).standard_normal((12, 16))
    noisy = LogExpectedImprovement.of(process, observed(process), normals)(queries)
    expected = plain(process, y.max())(queries)
    near = expected > -20  # further out the last digits of the incumbent count
    assert near.sum() > 10
    assert noisy[near] == pytest.approx(expected[near], abs=0.05)


def test_one_known_point_averages_over_its_value() -> None:
    """Against adaptive quadrature over the value, conditioning afresh at each."""
    process, y = problem(n=5, d=1, noise=0.05)
    known, query = np.array([[0.4]]), np.array([[0.3]])
    rows = np.vstack([observed(process), known])
    mean, variance = process.posterior(known)
    sd = math.sqrt(variance[0])
    distances = np.abs(rows - rows.T) / process.design.embedding.scales
    r = math.sqrt(5) * distances
    kernel = (1 + r + r**2 / 3) * np.exp(-r) + np.diag([0.05] * 5 + [0.0])
    q = math.sqrt(5) * np.abs(query - rows)[:, 0] / process.design.embedding.scales
    cross = (1 + q + q**2 / 3) * np.exp(-q)
    posterior_sd = math.sqrt(1 - cross @ np.linalg.solve(kernel, cross))

    def integrand(u: float) -> float:
        value = mean[0] + sd * u
        new_mean = process.mean + cross @ np.linalg.solve(kernel, np.append(y, value) - process.mean)
        improvement = expected_improvement(np.array([new_mean]), np.array([posterior_sd]), value)
        return float(improvement[0] * norm.pdf(u))

    exact = quad(integrand, -9, 9, epsabs=1e-12)[0]
    normals = ndtri((np.arange(4096) + 0.5) / 4096)[None]
    imagined = LogExpectedImprovement.of(process, known, normals)(query)
    assert np.exp(imagined[0]) == pytest.approx(exact, rel=1e-4)


def test_noisy_and_pending_points_agree_with_plain_monte_carlo() -> None:
    process, y = problem(n=8, d=2, noise=0.05)
    rng = np.random.default_rng(4)
    pending, query = rng.random((3, 2)), np.array([[0.3, 0.4]])
    # joint draws of the latent function at observed and pending points and the query; the conditional mean of the
    # query is not used, so the estimate shares nothing with the code but the prior
    known = np.vstack([observed(process), pending])
    everything = np.vstack([known, query])
    r = math.sqrt(5) * np.sqrt(
        np.square((everything[:, None] - everything) / process.design.embedding.scales).sum(axis=2)
    )
    kernel = (1 + r + r**2 / 3) * np.exp(-r)
    cross = kernel[:, :8]
    noisy = cross[:8] + 0.05 * np.eye(8)
    mean = process.mean + cross @ np.linalg.solve(noisy, y - process.mean)
    covariance = kernel - cross @ np.linalg.solve(noisy, cross.T)
    n_draws = 1_000_000
    latent = rng.multivariate_normal(mean, covariance, size=n_draws)
    improvements = np.maximum(latent[:, 11] - latent[:, :11].max(axis=1), 0.0)
    standard_error = improvements.std() / math.sqrt(n_draws)
    normals = ndtri(uniform_points(4096, 11, np.random.default_rng(5))).T
    value = LogExpectedImprovement.of(process, known, normals)(query)
    assert np.exp(value[0]) == pytest.approx(improvements.mean(), abs=3 * standard_error)


def test_believer_takes_the_posterior_mean_for_the_value() -> None:
    process, _ = problem()
    pending = np.array([[0.2, 0.3, 0.4]])
    believed = LogExpectedImprovement.of(process, np.vstack([observed(process), pending]), np.zeros((13, 1)))
    assert believed.process.posterior(pending)[0][0] == pytest.approx(process.posterior(pending)[0], abs=1e-9)
    before = LogExpectedImprovement.of(process, observed(process), np.zeros((12, 1)))
    assert believed(pending)[0] < before(pending)[0]


def feasible_problem() -> WhereFeasible:
    process, _ = problem(n=14, d=3, noise=0.05)
    labels = np.where(np.random.default_rng(5).random(14) < 0.4, -1.0, 1.0)
    hyperparameters = Hyperparameters(np.array([0.4, 0.9, 1.3]), 0.1, np.array([[0.5, 1.0, 2.0], [1.5, 1.0, 0.7]]))
    features = process.design.rows * process.design.embedding.scales
    return WhereFeasible(plain(process, 0.3), Design.of(features, np.arange(3), hyperparameters).given(labels))


def test_the_probability_of_success_is_that_of_a_positive_noisy_label() -> None:
    acquisition, queries = feasible_problem(), np.random.default_rng(6).random((10, 3))
    mean, variance = acquisition.labels.posterior(queries)
    draws = np.random.default_rng(7).standard_normal((400_000, 1)) * np.sqrt(variance + 0.1) + mean
    probability = np.exp(acquisition(queries) - acquisition.improvement(queries))
    assert probability == pytest.approx((draws > 0).mean(axis=0), abs=5 * 0.5 / math.sqrt(400_000))


def test_gradient_where_feasible_agrees_with_differences() -> None:
    acquisition = feasible_problem()
    for query in np.random.default_rng(8).uniform(0.05, 0.95, (20, 3)):
        value, gradient = acquisition.value_and_gradient(query[None])
        assert value == pytest.approx(acquisition(query[None]), rel=1e-12)
        steps = 1e-6 * np.eye(3)
        differences = (acquisition(query + steps) - acquisition(query - steps)) / 2e-6
        assert gradient[0] == pytest.approx(differences, rel=1e-5, abs=1e-5 * np.abs(gradient).max())
