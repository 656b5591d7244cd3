"""The warp against scipy and differences, the embedding's derivative against differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.stats import beta

from sksearch.gp.warping import Embedding, kumaraswamy

EXPONENTS = st.floats(0.2, 5.0)


@given(a=EXPONENTS, x=st.floats(1e-6, 1 - 1e-6))
def test_with_one_exponent_it_is_the_beta_distribution(a: float, x: float) -> None:
    assert kumaraswamy(np.array([x]), np.array([a]), np.array([1.0]))[0][0] == pytest.approx(
        beta(a, 1).cdf(x), rel=1e-9
    )
    assert kumaraswamy(np.array([x]), np.array([1.0]), np.array([a]))[0][0] == pytest.approx(
        beta(1, a).cdf(x), rel=1e-9
    )


@given(a=EXPONENTS, b=EXPONENTS)
def test_it_is_a_monotone_map_of_the_interval_onto_itself(a: float, b: float) -> None:
    x = np.linspace(0, 1, 101)
    image, slope, *_ = kumaraswamy(x, np.full(101, a), np.full(101, b))
    assert ((image >= 0) & (image <= 1)).all()
    assert (np.diff(image) >= 0).all()
    assert np.isfinite(slope).all()
    ends = np.array([1e-6, 1 - 1e-6])  # whose derivatives are finite
    assert image[[0, -1]] == pytest.approx(1 - (1 - ends**a) ** b, rel=1e-6)


@settings(max_examples=200)
@given(a=EXPONENTS, b=EXPONENTS, x=st.floats(0.01, 0.99))
def test_derivatives_agree_with_differences(a: float, b: float, x: float) -> None:
    def value(arguments: np.ndarray) -> float:
        x, log_a, log_b = arguments
        return float(1 - (1 - x ** np.exp(log_a)) ** np.exp(log_b))

    _, *found = kumaraswamy(np.array([x]), np.array([a]), np.array([b]))
    expected = approx_fprime(np.array([x, np.log(a), np.log(b)]), value, 1e-7)
    assert np.ravel(found) == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_exponents_of_one_leave_the_features_as_they_are() -> None:
    features = np.random.default_rng(0).random((5, 3))
    groups, lengthscales = np.array([0, 1, 1]), np.array([0.5, 2.0])
    plain = Embedding.of(lengthscales, groups)(features)
    assert plain.tolist() == (features / [0.5, 2.0, 2.0]).tolist()
    assert Embedding.of(lengthscales, groups, np.ones((2, 2)))(features).tolist() == plain.tolist()


def test_the_gradient_is_pulled_back_through_warp_and_scale() -> None:
    rng = np.random.default_rng(1)
    exponents = np.array([[0.5, 1.0, 2.0], [1.5, 1.0, 0.7]])
    embedding = Embedding.of(np.array([0.3, 0.8, 1.7]), np.array([0, 1, 1, 2]), exponents)
    features, weights = rng.uniform(0.1, 0.9, (1, 4)), rng.normal(size=(1, 4))
    expected = approx_fprime(features[0], lambda x: float(np.sum(weights * np.sin(embedding(x[None])))), 1e-7)
    found = embedding.pull_back(features, weights * np.cos(embedding(features)))
    assert found[0] == pytest.approx(expected, rel=1e-5)
