"""Search spaces: truth from scipy's distribution functions, `itertools.product`, closed forms and properties."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import re
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.stats as st
from hypothesis import assume, example, given, settings
from hypothesis import strategies as hs
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterSampler, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from sksearch.space import Categorical, Integer, Real, Space, parse_dimension
from sksearch.space.dimensions import IntegerRange, Interval, Levels, Quantiles, SampleOnly
from sksearch.space.values import same

parse = partial(parse_dimension, name="alpha", tuple_is_range=False)
parse_range = partial(parse_dimension, name="alpha", tuple_is_range=True)
space_of = partial(Space.parse, argument="search_spaces")
units = hs.floats(0, 1)
finite = hs.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
scalars = hs.none() | hs.booleans() | hs.integers() | hs.floats() | hs.text(max_size=3) | hs.binary(max_size=2)
anything = hs.recursive(scalars, lambda inner: hs.lists(inner, max_size=3) | hs.tuples(inner, inner), max_leaves=5)


class OnlyRvs:
    """A distribution of which scikit-learn asks no more than `rvs`."""

    def rvs(self, random_state=None):
        assert isinstance(random_state, np.random.RandomState)
        return np.float64(random_state.standard_normal())


def odd_squares(value):
    return value


def chi_square_p(observed, weights):
    """Probability of counts at least as far from their expectation; 1 where there is no choice."""
    expected = np.asarray(weights) * np.sum(observed) / np.sum(weights)
    return 1.0 if len(expected) == 1 else st.chisquare(observed, expected).pvalue


def levels_of(dimension):
    return [dimension.from_unit(u) for u in dimension.level_units()]


def assert_levels_round_trip(dimension):
    """Every level has its own coordinate; whatever is decoded is encoded where `snap` puts it."""
    levels = dimension.level_units()
    assert len(levels) == dimension.n_levels
    assert np.all(np.diff(levels) > 0)
    assert levels[0] >= 0
    assert levels[-1] <= 1
    assert np.array_equal(dimension.snap(levels), levels)
    for u in levels:
        assert dimension.to_unit(dimension.from_unit(u)) == u


def assert_snap_is_encode_of_decode(dimension, u, **tolerance):
    snapped = float(dimension.snap(np.array([u]))[0])
    assert dimension.to_unit(dimension.from_unit(u)) == pytest.approx(snapped, **{"rel": 0, "abs": 0, **tolerance})
    assert float(dimension.snap(np.array([snapped]))[0]) == snapped


# --- Real ---------------------------------------------------------------------------------------


@given(low=finite, high=finite, share=units)
@example(low=0.0, high=5e-324, share=1.0)
def test_a_linear_range_returns_the_value_it_encoded(low, high, share):
    assume(low < high)
    real = parse(Real(low, high))
    value = min(max(low + share * (high - low), low), high)
    assert real.from_unit(real.to_unit(value)) == pytest.approx(value, rel=1e-12, abs=1e-12 * (high - low))
    assert (real.from_unit(0), real.from_unit(1)) == (low, high)


@given(low=hs.floats(-300, 299), decades=hs.floats(1e-3, 300), share=units)
def test_a_log_range_returns_the_value_it_encoded(low, decades, share):
    assume(low + decades < 300)
    real = parse(Real(10**low, 10 ** (low + decades), prior="log-uniform"))
    value = min(max(10 ** (low + share * decades), real.low), real.high)
    assert real.to_unit(value) == pytest.approx(share, abs=1e-9)
    assert real.from_unit(real.to_unit(value)) == pytest.approx(value, rel=1e-11)


@given(low=hs.floats(0, 0.99), high=hs.floats(0.01, 1 - 1e-9), share=units)
def test_a_reverse_log_range_keeps_the_distance_from_one(low, high, share):
    assume(high - low > 1e-6)
    real = parse(Real(low, high, "reverse-log-uniform"))
    value = min(max(low + share * (high - low), low), high)
    assert 1 - real.from_unit(real.to_unit(value)) == pytest.approx(1 - value, rel=1e-12, abs=1e-15)


def test_reverse_log_is_linear_in_minus_log_of_one_minus_x():
    real = parse(Real(0, 0.999, "reverse-log-uniform"))
    assert [real.to_unit(x) for x in (0.9, 0.99)] == pytest.approx([1 / 3, 2 / 3])
    assert [real.from_unit(u) for u in (1 / 3, 2 / 3)] == pytest.approx([0.9, 0.99])


@pytest.mark.parametrize("real", [Real(-3, 5), Real(1e-6, 1e6, "log-uniform"), Real(0.2, 0.999, "reverse-log-uniform")])
@given(first=units, second=units)
def test_a_range_is_monotone_and_snaps_to_itself(real, first, second):
    dimension = parse(real)
    low, high = sorted([first, second])
    assert dimension.from_unit(low) <= dimension.from_unit(high)
    assert_snap_is_encode_of_decode(dimension, first, abs=1e-12)
    assert (dimension.n_levels, dimension.level_units(), dimension.ordered) == (None, None, True)


@pytest.mark.parametrize("value", [0.99, 10.01, math.nan, math.inf, "5", None, True, [5], np.array([5.0]), 10**400])
def test_a_range_refuses_what_it_does_not_hold(value):
    dimension = parse(Real(1, 10))
    assert not dimension.contains(value)
    with pytest.raises(ValueError, match=r"is not a number from 1\.0 to 10\.0"):
        dimension.to_unit(value)


# --- Integer ------------------------------------------------------------------------------------


@given(low=hs.integers(-(2**70), 2**70), width=hs.integers(1, 2**50 - 1), data=hs.data())
def test_integers_of_any_size_round_trip_exactly(low, width, data):
    integers = parse(Integer(low, low + width))
    value = low + data.draw(hs.integers(0, width) | hs.sampled_from([0, 1, width - 1, width]))
    assert integers.from_unit(integers.to_unit(value)) == value
    assert (integers.from_unit(0.0), integers.from_unit(1.0)) == (low, low + width)
    assert integers.n_levels == width + 1
    assert_snap_is_encode_of_decode(integers, data.draw(units))


@given(low=hs.integers(1, 2**39), width=hs.integers(1, 2**39), data=hs.data())
def test_log_integers_round_trip_exactly(low, width, data):
    integers = parse(Integer(low, low + width, prior="log-uniform"))
    value = low + data.draw(hs.integers(0, width) | hs.sampled_from([0, 1, width - 1, width]))
    assert integers.from_unit(integers.to_unit(value)) == value
    assert (integers.from_unit(0.0), integers.from_unit(1.0)) == (low, low + width)
    assert_snap_is_encode_of_decode(integers, data.draw(units))


@given(first=units, second=units, low=hs.integers(1, 50), width=hs.integers(1, 500), log=hs.booleans())
def test_integers_are_monotone_and_list_all_their_levels(first, second, low, width, log):
    integers = IntegerRange(low, low + width, log=log)
    assert_levels_round_trip(integers)
    assert levels_of(integers) == list(range(low, low + width + 1))
    assert integers.from_unit(min(first, second)) <= integers.from_unit(max(first, second))


def test_integers_sit_at_the_centres_of_equal_cells():
    assert parse(Integer(3, 7)).level_units() == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9], abs=1e-15)


def test_log_integers_sit_at_their_logarithm_between_half_steps_beyond_the_ends():
    expected = [math.log(k / 0.5) / math.log(8.5 / 0.5) for k in range(1, 9)]
    assert parse(Integer(1, 8, "log-uniform")).level_units() == pytest.approx(expected, abs=1e-14)


def test_more_than_4096_integers_are_counted_but_not_listed():
    assert len(parse(Integer(1, 4096)).level_units()) == 4096
    assert (parse(Integer(1, 4097)).n_levels, parse(Integer(1, 4097)).level_units()) == (4097, None)


@pytest.mark.parametrize("value", [0, 11, 2.5, "3", None, True, math.nan, np.float64(1.5)])
def test_integers_refuse_what_they_do_not_hold(value):
    with pytest.raises(ValueError, match="is not an integer from 1 to 10"):
        parse(Integer(1, 10)).to_unit(value)


# --- Lists --------------------------------------------------------------------------------------

numbers = hs.one_of(
    hs.lists(hs.integers(-(10**6), 10**6), min_size=3, max_size=40, unique=True),
    hs.lists(finite, min_size=3, max_size=40, unique=True),
    hs.lists(hs.floats(1e-9, 1e9), min_size=3, max_size=40, unique=True),
    hs.lists(hs.integers(2**53, 2**53 + 50), min_size=3, max_size=40, unique=True),
)


@given(values=numbers, descending=hs.booleans(), u=units)
def test_a_list_of_numbers_in_order_is_ordinal(values, descending, u):
    values = sorted(values, reverse=descending)
    dimension = parse(values)
    assert dimension.ordered
    assert_levels_round_trip(dimension)
    assert_snap_is_encode_of_decode(dimension, u)
    for value in values:
        decoded = dimension.from_unit(dimension.to_unit(value))
        assert decoded == value
        assert type(decoded) is type(value)
    assert levels_of(dimension) == sorted(values)


@given(values=numbers)
@example(values=[2**53 + 3, 2**53 + 4, 2**53 + 5])
@example(values=[-1.7e308, 0.0, 1.7e308])
@example(values=[0.0, 5e-324, 1e-323])
def test_levels_of_a_list_reach_both_ends_and_keep_their_distance(values):
    levels = parse(sorted(values)).level_units()
    gaps = np.diff(levels)
    assert (levels[0], levels[-1]) == (0.0, 1.0)
    assert gaps.min() >= min(0.02, 0.5 / len(gaps)) - 1e-12


def test_a_list_within_a_decade_is_placed_linearly():
    assert parse([1, 2, 5]).level_units() == pytest.approx([0, 0.25, 1])
    assert parse([-10, 0, 1000]).level_units() == pytest.approx([0, 0.02, 1])


def test_a_positive_list_over_a_decade_is_placed_by_logarithm():
    assert parse([0.01, 0.1, 10]).level_units() == pytest.approx([0, 1 / 3, 1])
    assert parse([1, 3, 10]).level_units() == pytest.approx([0, math.log10(3), 1])


def test_close_values_are_moved_apart_and_the_others_share_what_is_left():
    # linear gaps .001, .001, .998 -> .02, .02, .96
    assert parse([100, 100.1, 100.2, 200]).level_units() == pytest.approx([0, 0.02, 0.04, 1])


def test_a_coordinate_decodes_to_the_nearest_level():
    dimension = parse([1, 2, 5])
    assert [dimension.from_unit(u) for u in (0, 0.124, 0.126, 0.624, 0.626, 1)] == [1, 1, 2, 2, 5, 5]


@pytest.mark.parametrize(
    "values",
    [
        [0.1, 1],
        [5],
        [1, 10, 5],
        [1, 2, None],
        [True, False, True],
        [0, 1, True],
        [1, 1.0, 2, 3],
        [1, 2, math.nan],
        [1, 2, math.inf],
        ["a", "b", "c"],
        [(1, 2), (3, 4), (5, 6)],
        [1, 2, 10**400],
    ],
    ids=repr,
)
def test_other_lists_are_categorical(values):
    dimension = parse(values)
    assert not dimension.ordered
    assert_levels_round_trip(dimension)
    count = dimension.n_levels
    assert dimension.level_units() == pytest.approx([(i + 0.5) / count for i in range(count)])


@given(values=hs.lists(anything, min_size=1, max_size=8), u=units)
def test_categories_of_any_type_come_back_as_the_objects_given(values, u):
    dimension = parse(Categorical(values))
    assert dimension.n_levels == sum(not any(same(v, w) for w in values[:i]) for i, v in enumerate(values))
    assert_levels_round_trip(dimension)
    assert_snap_is_encode_of_decode(dimension, u)
    for value in values:
        decoded = dimension.from_unit(dimension.to_unit(value))
        assert same(decoded, value)
        first = next(other for other in values if same(other, value))
        assert decoded is first


OBJECTS = [
    None,
    True,
    1,
    1.0,
    math.nan,
    "1",
    b"1",
    (1, 1.0),
    (1.0, 1),
    [1, (2, None)],
    {"a": [1]},
    {"a": [1.0]},
    np.array([1, 2]),
    np.array([1.0, 2.0]),
    np.array([1, "x"], dtype=object),
    np.datetime64("2020-01-01"),
    np.timedelta64(1, "s"),
    pd.Series([1, 2]),
    pd.DataFrame({"a": [1, 2]}),
    SVC(),
    SVC(C=2),
    Pipeline([("clf", SVC())]),
    Pipeline([("clf", SVC(C=2))]),
    odd_squares,
    math.log,
    np.log,
    np.sqrt,
    SVC,
    partial(odd_squares, 1),
    partial(odd_squares, 2),
    object(),
    object(),
    np.random.RandomState(0),
    np.random.RandomState(1),
    slice(1),
    1j,
]


def test_values_of_every_type_are_told_apart_and_found_by_identity_and_by_copy():
    dimension = parse(OBJECTS)
    assert dimension.n_levels == len(OBJECTS)
    for position, value in enumerate(OBJECTS):
        assert dimension.from_unit(dimension.to_unit(value)) is value
        if type(value) is not object:
            assert dimension.to_unit(copy.deepcopy(value)) == (position + 0.5) / len(OBJECTS)


def test_fitted_models_are_told_apart_by_what_they_learnt():
    X = np.arange(8.0).reshape(-1, 1)
    first, second = (LogisticRegression().fit(X, X[:, 0] > cut) for cut in (2, 4))
    assert parse([FrozenEstimator(first), FrozenEstimator(second)]).n_levels == 2
    assert same(first, copy.deepcopy(first))


def test_true_one_and_one_point_zero_are_three_categories():
    dimension = parse(Categorical([True, 1, 1.0, False, 0]))
    assert dimension.n_levels == 5
    decoded = [dimension.from_unit(dimension.to_unit(value)) for value in (1.0, True, 1, 0, False)]
    assert [type(value) for value in decoded] == [float, bool, int, int, bool]
    assert not parse([1, 10]).contains(1.0)


def test_an_object_which_cannot_be_compared_is_equal_to_itself_only():
    class Stubborn:
        def __eq__(self, other):
            raise RuntimeError

        def __reduce_ex__(self, protocol):
            raise TypeError

        __hash__ = None

    first, second = Stubborn(), Stubborn()
    dimension = parse([first, second])
    assert dimension.n_levels == 2
    assert dimension.from_unit(dimension.to_unit(second)) is second


def test_an_object_that_holds_itself_is_compared_without_end_only_by_identity():
    first, second = BaseEstimator(), BaseEstimator()
    first.me, second.me = first, second
    assert same(first, first)
    assert not same(first, second)


def test_duplicates_count_once_for_the_model_and_each_time_when_sampling():
    dimension = parse([1, 1, 1, 5, 9])
    assert dimension.n_levels == 3
    draws = [dimension.sample(np.random.default_rng(seed)) for seed in range(2000)]
    counts = [draws.count(value) for value in (1, 5, 9)]
    assert chi_square_p(counts, [3, 1, 1]) > 1e-4


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1, 2, 3]), [1, 2, 3]),
        (np.array([0.5, 1.0, 2.0], dtype=np.float32), [0.5, 1.0, 2.0]),
        (np.array([True, False]), [True, False]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([None, "b"], dtype=object), [None, "b"]),
        (pd.Series([1, 2, 3], index=[7, 8, 9]), [1, 2, 3]),
        (pd.Index(["a", "b"]), ["a", "b"]),
        (pl.Series([1.5, 2.5, 3.5]), [1.5, 2.5, 3.5]),
        (range(2, 5), [2, 3, 4]),
        ((1, 2, 3), [1, 2, 3]),
        ([np.int64(1), np.float64(2.5), np.bool_(1)], [1, 2.5, True]),
        ([np.longdouble(1.5), np.float16(2.5), np.uint8(3)], [1.5, 2.5, 3]),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_arrays_and_columns_are_lists_of_plain_values(values, expected):
    dimension = parse(values)
    assert levels_of(dimension) == expected
    assert [type(value) for value in levels_of(dimension)] == [type(value) for value in expected]
    for value in values:
        assert dimension.contains(value)


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint32, np.float32, np.float64])
def test_numpy_numbers_are_found_in_every_kind_of_dimension(kind):
    for dimension in map(parse, [[1, 2, 3], Real(1, 3), Integer(1, 3), st.randint(1, 4), st.uniform(1, 2)]):
        u = dimension.to_unit(kind(2))
        assert u == dimension.to_unit(2)
        assert type(dimension.from_unit(u)) in (int, float)


# --- Distributions ------------------------------------------------------------------------------


class NewStyle:
    """The methods of scipy's new-style distributions: no `rvs`, and `pmf` is zero where there is no atom."""

    def __init__(self, frozen):
        self.icdf, self.cdf, self.support = frozen.ppf, frozen.cdf, frozen.support
        self.pmf = getattr(frozen, "pmf", np.zeros_like)


CONTINUOUS = {
    "uniform": st.uniform(2, 3),
    "uniform from zero": st.uniform(0, 4),
    "uniform to zero": st.uniform(-4, 4),
    "loguniform": st.loguniform(1e-3, 1e2),
    "loguniform scaled": st.loguniform(1e-3, 1e2, scale=3),
    "loguniform shifted": st.loguniform(1e-3, 1e2, loc=1),
    "loguniform below zero": st.loguniform(1e-3, 1e2, loc=-2),
    "reciprocal": st.reciprocal(0.5, 7),
    "norm": st.norm(3, 2),
    "norm, not frozen": st.norm,
    "lognorm": st.lognorm(1.2),
    "gamma": st.gamma(2, scale=3),
    "expon": st.expon(scale=10),
    "beta": st.beta(2, 5),
    "truncnorm": st.truncnorm(-1, 2),
    "cauchy": st.cauchy(),
    "new-style gamma": NewStyle(st.gamma(3)),
}
if hasattr(st, "Normal"):  # scipy 1.15
    CONTINUOUS["scipy's new normal"] = st.Normal(mu=1.0, sigma=2.0)
continuous = pytest.mark.parametrize("name", CONTINUOUS)


@continuous
@settings(max_examples=30)
@given(u=hs.floats(1e-5, 1 - 1e-5), other=units)
def test_continuous_distributions_are_seen_through_their_quantiles(name, u, other):
    distribution = CONTINUOUS[name]
    ppf = getattr(distribution, "ppf", getattr(distribution, "icdf", None))
    dimension = parse(distribution)
    value = dimension.from_unit(u)
    assert value == pytest.approx(float(ppf(u)), rel=1e-9, abs=1e-12)
    assert type(value) is float
    assert dimension.to_unit(value) == pytest.approx(float(distribution.cdf(value)), rel=1e-9, abs=1e-12)
    assert dimension.from_unit(dimension.to_unit(value)) == pytest.approx(value, rel=1e-8, abs=1e-9)
    assert_snap_is_encode_of_decode(dimension, other, abs=1e-9)
    assert dimension.from_unit(min(u, other)) <= dimension.from_unit(max(u, other))


@continuous
def test_every_coordinate_of_a_distribution_is_a_finite_value_inside_it(name):
    dimension = parse(CONTINUOUS[name])
    assert all(math.isfinite(dimension.from_unit(u)) for u in (0, 1e-300, 1e-9, 1 - 1e-16, 1))
    assert 0 not in (dimension.from_unit(0), dimension.from_unit(1))  # C, alpha, ... are refused at 0
    assert (dimension.n_levels, dimension.level_units()) == (None, None)


@continuous
def test_samples_of_a_continuous_distribution_follow_it(name):
    rng = np.random.default_rng(0)
    dimension = parse(CONTINUOUS[name])
    draws = [dimension.sample(rng) for _ in range(400)]
    assert st.kstest(draws, CONTINUOUS[name].cdf).pvalue > 1e-3


@pytest.mark.parametrize("value", [1.9, 5.1, math.nan, "3", None, True])
def test_a_value_outside_the_support_is_refused(value):
    for distribution in (st.uniform(2, 3), st.truncnorm(-3, 0, loc=5, scale=1)):
        with pytest.raises(ValueError, match=r"is not a number from 2\.0 to 5\.0"):
            parse(distribution).to_unit(value)


def test_common_distributions_need_no_call_of_scipy():
    assert [type(parse(d)) for d in (st.uniform(1, 2), st.loguniform(1, 9))] == [Interval, Interval]
    assert [type(parse(d)) for d in (st.loguniform(1, 9, loc=3), st.norm())] == [Quantiles, Quantiles]
    assert parse(st.randint(3, 9)) == parse(Integer(3, 8))


DISCRETE = {
    "randint": st.randint(3, 9),
    "randint shifted": st.randint(0, 5, loc=-2),
    "one value": st.randint(4, 5),
    "binom": st.binom(10, 0.3),
    "binom with invisible tails": st.binom(100, 0.5),
    "poisson": st.poisson(4),
    "poisson shifted": st.poisson(4, loc=3),
    "poisson far out": st.poisson(10_000),
    "geom": st.geom(0.2),
    "two-sided": st.skellam(3, 4),
    "table": st.rv_discrete(values=([1, 5, 20], [0.2, 0.5, 0.3])),
    "table with a gap of integers": st.rv_discrete(values=([1, 2, 9], [0.5, 0.5 - 1e-8, 1e-8])),
    "new-style binomial": NewStyle(st.binom(10, 0.5)),
}
if hasattr(st, "Binomial"):  # scipy 1.16
    DISCRETE["scipy's new binomial"] = st.Binomial(n=10, p=0.5)
discrete = pytest.mark.parametrize("name", DISCRETE)


@discrete
def test_discrete_distributions_have_exact_levels_at_the_centres_of_their_probability(name):
    dimension = parse(DISCRETE[name])
    assert_levels_round_trip(dimension)
    for u in dimension.level_units():
        value = dimension.from_unit(u)
        assert type(value) is int
        below, upto = (float(DISCRETE[name].cdf(k)) for k in (value - 1, value))
        assert u == pytest.approx((below + upto) / 2, abs=1e-5)


@discrete
@settings(max_examples=30)
@given(u=hs.floats(1e-4, 1 - 1e-4))
def test_discrete_distributions_are_seen_through_their_quantiles(name, u):
    distribution = DISCRETE[name]
    ppf = getattr(distribution, "ppf", getattr(distribution, "icdf", None))
    dimension = parse(distribution)
    assert_snap_is_encode_of_decode(dimension, u)
    assert ppf(u - 1e-5) <= dimension.from_unit(u) <= ppf(u + 1e-5)  # a cut moves by less than the mass cut off


@discrete
def test_samples_of_a_discrete_distribution_follow_it(name):
    rng = np.random.default_rng(1)
    dimension = parse(DISCRETE[name])
    draws = np.array([dimension.sample(rng) for _ in range(4000)])
    values = np.array(levels_of(dimension))
    expected = 4000 * DISCRETE[name].pmf(values)
    often = expected >= 5
    observed = np.append([np.sum(draws == v) for v in values[often]], np.sum(~np.isin(draws, values[often])))
    expected = np.append(expected[often], max(4000 - expected[often].sum(), 1e-9))
    kept = expected > 0.5
    assert chi_square_p(observed[kept], expected[kept]) > 1e-4


def test_a_table_of_fractions_returns_floats():
    dimension = parse(st.rv_discrete(values=([0.5, 1, 2.5], [0.2, 0.3, 0.5]))(loc=1))
    assert levels_of(dimension) == [1.5, 2.0, 3.5]
    assert dimension.level_units() == pytest.approx([0.1, 0.35, 0.75])
    assert not dimension.contains(2.2)


def test_integers_beyond_the_tabulated_bulk_are_encoded_as_its_end():
    dimension = parse(st.poisson(4))
    assert dimension.n_levels < 30
    assert dimension.to_unit(60) == dimension.level_units()[-1]
    assert not dimension.contains(-1)
    assert not dimension.contains(2.5)
    assert parse(st.poisson(10_000)).to_unit(3) == parse(st.poisson(10_000)).to_unit(4)


def test_a_heavy_tail_is_tabulated_only_if_the_table_holds_nearly_all_of_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dimension = parse(st.zipf(2.5))
        assert isinstance(parse(st.zipf(1.01)), SampleOnly)
    assert dimension.from_unit(0) == 1
    assert dimension.from_unit(dimension.to_unit(50)) == 50


class Dice:
    """A distribution of the user's own with quantiles but neither `support` nor `pmf`."""

    def cdf(self, x):
        return np.clip(np.floor(x), 0, 6) / 6

    def ppf(self, u):
        return max(1, math.ceil(u * 6))

    def rvs(self, random_state=None):
        return random_state.randint(1, 7)


class Massless(Dice):
    def cdf(self, x):
        return np.full_like(x, 0.5)


def test_a_distribution_of_the_users_own_needs_cdf_and_ppf_only():
    dimension = parse(Dice())
    assert levels_of(dimension) == [1, 2, 3, 4, 5, 6]
    assert dimension.level_units() == pytest.approx([(k - 0.5) / 6 for k in range(1, 7)])


@pytest.mark.parametrize(
    ("distribution", "reason"),
    [
        (OnlyRvs(), "has no cdf and ppf"),
        (st.dirichlet([1, 2]), "has no cdf and ppf"),
        (Massless(), "has no finite probabilities"),
        (st.uniform(5, 0), "has no finite quantiles"),
        (st.norm([0, 1]), "has no quantiles|has no finite quantiles"),
        (st.randint(0, 2**62), r"at most 2\*\*50"),
        (st.zipf(1.01), "spreads over more than 65536 values"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_modelled_is_sampled_and_refused_by_name_where_a_model_is_needed(distribution, reason):
    space = space_of({"clf__C": distribution, "kernel": ["rbf"]})
    assert set(space.sample(np.random.default_rng(0))) == {"clf__C", "kernel"}
    assert space.size == math.inf
    assert space.contains({"clf__C": 0.3, "kernel": "rbf"})
    with pytest.raises(ValueError, match=rf"search_spaces: parameter 'clf__C': .* can only be sampled, .*({reason})"):
        space.require_model()
    with pytest.raises(ValueError, match=r"'clf__C': .* can only be sampled"):
        space.encode({"clf__C": 0.3, "kernel": "rbf"})
    with pytest.raises(ValueError, match="can only be sampled"):
        space.decode(np.array([0.5, 0.5]))
    assert np.array_equal(space.snap(np.array([[0.3, 0.2]])), [[0.3, 0.5]])


def test_a_space_of_quantiles_may_be_modelled():
    space_of({"a": st.norm(), "b": [1, 2], "c": Real(0, 1), "d": st.poisson(3)}).require_model()


def test_sampling_something_with_only_rvs_advances_the_generator():
    rng = np.random.default_rng(3)
    dimension = parse(OnlyRvs())
    first, second = dimension.sample(rng), dimension.sample(rng)
    assert first != second
    assert type(first) is float
    rng = np.random.default_rng(3)
    assert [dimension.sample(rng), dimension.sample(rng)] == [first, second]


@pytest.mark.parametrize("distribution", [st.norm(0, -1), st.randint(5, 5), st.randint, st.loguniform(5, 1)])
def test_a_distribution_that_cannot_be_drawn_from_is_refused(distribution):
    with pytest.raises(
        ValueError, match=r"parameter 'alpha': the distribution .*cannot be drawn from .* check its arg"
    ):
        parse(distribution)


# --- Real, Integer, Categorical as objects ------------------------------------------------------

SPECS = [
    Real(1, 10),
    Real(1e-3, 1e3, prior="log-uniform", name="C"),
    Real(0.1, 0.9, "reverse-log-uniform"),
    Integer(1, 10),
    Integer(2**60, 2**60 + 9),
    Integer(1, 100, prior="log-uniform", name="depth"),
    Categorical(["a", None, (1, 2)]),
    Categorical([1, 2, 3], prior=[0.2, 0.3, 0.5], name="k"),
    Categorical([SVC(), RandomForestClassifier(), odd_squares, np.array([1.0, math.nan])]),
]
specs = pytest.mark.parametrize("spec", SPECS, ids=repr)


@specs
def test_specs_stay_equal_when_copied_cloned_and_pickled(spec):
    search = RandomizedSearchCV(SVC(), {"C": spec})
    copies = [copy.deepcopy(spec), pickle.loads(pickle.dumps(spec)), clone(search).param_distributions["C"]]
    for twin in copies:
        assert twin == spec
        assert twin is not spec
        assert parse(twin) == parse(spec)
        assert repr(twin) == repr(spec)


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations([*SPECS, 1, "Real(1, 10)"], 2)), ids=repr)
def test_different_specs_are_not_equal(first, second):
    assert first != second


@pytest.mark.parametrize("spec", SPECS[:-1], ids=repr)
def test_a_repr_is_the_call_that_made_it(spec):
    assert eval(repr(spec)) == spec


@specs
def test_specs_are_distributions_of_scikit_learn(spec):
    dimension = parse(spec)
    drawn = [params["x"] for params in ParameterSampler({"x": spec}, 5, random_state=0)]
    assert all(map(dimension.contains, drawn))
    assert same(drawn, [params["x"] for params in ParameterSampler({"x": spec}, 5, random_state=0)])
    draws = spec.rvs(3, random_state=np.random.default_rng(0))
    assert len(draws) == 3
    assert same(draws, spec.rvs(n_samples=3, random_state=np.random.default_rng(0)))
    assert dimension.contains(spec.rvs())


@pytest.mark.parametrize(
    ("spec", "cdf"),
    [
        (Real(2, 5), st.uniform(2, 3).cdf),
        (Real(0.01, 10, "log-uniform"), st.loguniform(0.01, 10).cdf),
        (Real(0.5, 0.99, "reverse-log-uniform"), lambda x: np.log((1 - x) / 0.5) / np.log(0.01 / 0.5)),
    ],
)
def test_draws_from_a_range_are_even_on_its_scale(spec, cdf):
    assert st.kstest(spec.rvs(500, random_state=0), cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("spec", "values", "probabilities"),
    [
        (Integer(1, 4), [1, 2, 3, 4], [0.25] * 4),
        (Integer(1, 3, "log-uniform"), [1, 2, 3], np.log([3, 5 / 3, 7 / 5]) / np.log(7)),
        (Categorical(["a", "b"], prior=[0.9, 0.1]), ["a", "b"], [0.9, 0.1]),
        (Categorical(["a", "b", "a"], prior=[0.5, 0.1, 0.4]), ["a", "b"], [0.9, 0.1]),
        (Categorical(["a", "b", "c"], prior=[0.0, 1.0, 0.0]), ["b"], [1.0]),
    ],
    ids=repr,
)
def test_draws_follow_the_probabilities(spec, values, probabilities):
    draws = spec.rvs(2000, random_state=0)
    assert set(draws) == set(values)
    assert chi_square_p([draws.count(v) for v in values], probabilities) > 1e-4


def test_call_forms_of_scikit_optimize_are_accepted_without_effect():
    real = Real(low=1, high=10, prior="log-uniform", base=2, transform="normalize", dtype=np.float32)
    assert real == Real(1, 10, "log-uniform")
    assert Integer(low=1, high=10, transform="identity", dtype=np.int32) == Integer(1, 10)
    assert Integer(1, np.float64(10)) == Integer(1, 10)
    assert Categorical(categories=("a", "b"), transform="onehot") == Categorical(["a", "b"])
    assert Categorical(np.array([1, 2]), prior=np.array([0.5, 0.5])) == Categorical([1, 2], [0.5, 0.5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Real(10, 1), r"low must be less than high, got 10 and 1; write Real\(1, 10\)"),
        (lambda: Real(1, 1), r"low must be less than high, got 1 twice; write \[1\]"),
        (lambda: Real(0, math.inf), "high must be finite, got inf"),
        (lambda: Real(math.nan, 1), "low must be finite, got nan"),
        (lambda: Real(0, 10**400), "high must be finite"),
        (lambda: Real(-1.7e308, 1.7e308), "too wide"),
        (lambda: Real(1e300, math.nextafter(1e300, math.inf), "log-uniform"), "too narrow"),
        (lambda: Real(0, 1, "log-uniform"), "low must be greater than 0 with prior='log-uniform', got 0"),
        (lambda: Real(-1, 1, "reverse-log-uniform"), "0 <= low < high < 1 .* got -1 and 1"),
        (lambda: Real(0, 1, "reverse-log-uniform"), "0 <= low < high < 1"),
        (lambda: Real(1, 2, "log"), "prior must be one of 'uniform', .* got 'log'"),
        (lambda: Real(1, 2, base=1), "base must be a number greater than 1, got 1"),
        (lambda: Real(1, 2, transform="square"), "transform must be one of .* got 'square'"),
        (lambda: Real(1, 2, dtype=int), r"dtype=.* has no equal here: values are Python floats"),
        (lambda: Real(1, 2, dtype="spam"), "dtype='spam' has no equal"),
        (lambda: Integer(1, 2, dtype=float), "dtype=.* has no equal here: values are Python ints"),
        (lambda: Integer(1.5, 3), r"low must be an integer, got 1\.5; round it or use Real"),
        (lambda: Integer(1, math.inf), "high must be finite"),
        (lambda: Integer(3, 1), r"write Integer\(1, 3\)"),
        (lambda: Integer(0, 10, "log-uniform"), "low must be at least 1 with prior='log-uniform', got 0"),
        (lambda: Integer(0, 10, "reverse-log-uniform"), "hold no two integers; got 0 and 10; use Real"),
        (lambda: Integer(0, 2**50), r"too many .*at most 2\*\*50"),
        (lambda: Integer(1, 2**40 + 1, "log-uniform"), r"up to 2\*\*40 on a log scale"),
        (lambda: Categorical([]), "categories must not be empty"),
        (lambda: Categorical("abc"), r"'abc' is one value, not a list of values; write \['abc'\]"),
        (lambda: Categorical(5), "5 is not a list of values"),
        (lambda: Categorical(np.eye(2)), r"one axis, got shape \(2, 2\)"),
        (lambda: Categorical(["a", "b"], prior=[1.0]), "one probability per category, got 1 for 2"),
        (lambda: Categorical(["a", "b"], prior=[0.5, 0.6]), "probabilities that sum to 1"),
        (lambda: Categorical(["a", "b"], prior=[-0.5, 1.5]), "probabilities that sum to 1"),
        (lambda: Categorical(["a", "b"], prior=[math.nan, 1]), "probabilities that sum to 1"),
        (lambda: Categorical(["a", "b"], prior="uniform"), "list of probabilities or None, got 'uniform'"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_when_it_is_made(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call", [lambda: Real("1", 2), lambda: Real(True, 2), lambda: Integer(None, 2)])
def test_bounds_that_are_no_numbers_are_a_type_error(call):
    with pytest.raises(TypeError, match="low must be a number"):
        call()


def test_a_name_that_is_no_string_is_a_type_error():
    with pytest.raises(TypeError, match="name must be a str or None, got 3"):
        Categorical([1], name=3)


# --- Tuples and pairs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ((1, 10), Integer(1, 10)),
        ((np.int64(1), 10), Integer(1, 10)),
        ((1.0, 10), Real(1, 10)),
        ((1e-3, 1e3, "log-uniform"), Real(1e-3, 1e3, "log-uniform")),
        ((1, 1000, "log-uniform"), Integer(1, 1000, "log-uniform")),
        ((1, 1000, "log-uniform", 2), Integer(1, 1000, "log-uniform")),
        ((1, 10, "uniform"), Integer(1, 10)),
        ((0.0, 0.99, "reverse-log-uniform"), Real(0, 0.99, "reverse-log-uniform")),
        ((1, 2, 3), [1, 2, 3]),
        ((0.1, 1.0, "scale"), [0.1, 1.0, "scale"]),
        (("a", "b"), ["a", "b"]),
        ((True, False), [True, False]),
        ((1, None), [1, None]),
        ((5,), [5]),
        ((1, 10, "uniform", "x"), [1, 10, "uniform", "x"]),
        ((1, 10, "uniform", 2, 3), [1, 10, "uniform", 2, 3]),
    ],
    ids=repr,
)
def test_tuples_are_ranges_in_the_form_of_scikit_optimize_and_values_otherwise(spec, meant):
    assert parse_range(spec) == parse(meant)


def test_tuples_are_values_in_the_form_of_scikit_learn():
    assert parse((1, 10)) == parse([1, 10])
    assert parse((1, 10, "uniform")) == parse([1, 10, "uniform"])


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        ((1, 10, "log-uniform"), Integer(1, 10, prior="log-uniform")),
        ((1, 10.0, "log-uniform"), Real(1, 10.0, prior="log-uniform")),
        ((0.1, 0.9, "reverse-log-uniform", 2), Real(0.1, 0.9, prior="reverse-log-uniform", base=2)),
    ],
)
def test_a_range_on_a_log_scale_is_refused_where_a_tuple_is_its_values(spec, advice):
    """No parameter takes numbers and such a word: fits would fail."""
    with pytest.raises(ValueError, match=r"'alpha': .* for a range") as error:
        parse(spec)
    written = re.search(r"write (.*), of sksearch.space", str(error.value)).group(1)
    assert eval(written, {"Real": Real, "Integer": Integer}) == advice
    assert parse(list(spec)).n_levels == len(spec)


def test_a_list_of_two_numbers_is_two_values_and_warns_where_a_tuple_is_a_range():
    with pytest.warns(UserWarning, match=r"parameter 'alpha': the list \[10, 1\] is two values; write \(1, 10\)"):
        dimension = parse_range([10, 1])
    assert dimension == parse([10, 1])
    assert dimension.n_levels == 2
    with pytest.warns(UserWarning, match=r"the list \[1, 10\] is two values"):  # an array is a range there, too
        parse_range(np.array([1, 10]))


@pytest.mark.parametrize("spec", [("log-uniform", 1e-5, 1e-1), (1, "uniform", 10)])
def test_a_prior_in_another_place_is_refused_where_a_tuple_is_a_range(spec):
    with pytest.raises(ValueError, match=r"parameter 'alpha': .* two numbers and a prior.* write \(low, high, prior\)"):
        parse_range(spec)
    assert parse(spec).n_levels == parse_range(list(spec)).n_levels == 3


@given(
    spec=hs.sampled_from([Integer(1, 9), [1, 2, 5], [0.5, 1.0], Real(0.1, 9.0), st.randint(1, 9), st.loguniform(1, 9)]),
    u=hs.floats(0, 1),
)
def test_canonical_values_are_those_that_the_dimension_gives(spec, u):
    dimension = parse(spec)
    value = dimension.from_unit(u)
    for other in (value, np.float64(value), np.int64(value) if value == int(value) else value, float(value)):
        if dimension.contains(other):  # two values are categories, where 1 is not 1.0
            canonical = dimension.canonical(other)
            assert type(canonical) is type(value)
            assert canonical == value


@pytest.mark.parametrize("values", [[1, 10, "log-uniform"], [0.1, 1.0, "uniform"], [1, 10, "log-uniform", 2]])
def test_a_list_that_names_a_prior_is_refused_where_a_tuple_is_a_range(values):
    with pytest.raises(ValueError, match=rf"parameter 'alpha': .* write \({values[0]}, {values[1]}, '{values[2]}'\)"):
        parse_range(values)
    assert parse(values).n_levels == len(values)


@pytest.mark.parametrize("values", [[1, 2, 3], [1, None], [True, False], [5, 5], [1, math.inf], np.array([1, 2, 3])])
def test_other_lists_do_not_warn(values):
    parse_range(values)


def test_two_numbers_do_not_warn_where_a_tuple_is_values():
    parse([1, 10])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ([], r"the list of values is empty"),
        ((), r"the list of values is empty"),
        (np.array([]), r"the list of values is empty"),
        ("rbf", r"'rbf' is one value, not a list of values; write \['rbf'\]"),
        (b"rbf", r"is one value"),
        (5, r"5 is neither a list of values nor a distribution; write \[value\]"),
        (None, "neither a list"),
        (np.float64(3), "neither a list"),
        (np.array(3), "neither a list|one axis"),
        (SVC(), "neither a list"),
        (Real, "neither a list"),
        ({"a": 1}, "neither a list"),
        ({1, 2}, r"neither a list .* list\(\.\.\.\) for a set"),
        ((x for x in [1, 2]), "neither a list"),
        (np.eye(2), r"one axis, got shape \(2, 2\)"),
        (pd.DataFrame({"a": [1]}), "one axis"),
        ((10, 1), r"low must be less than high, got 10 and 1"),
        ((1.0, 1.0), "low must be less than high"),
        ((1.0, math.inf), "high must be finite"),
        ((0, 10, "log-uniform"), "low must be at least 1"),
        ((0.0, 10.0, "log-uniform"), "low must be greater than 0"),
        ((0.5, 1.0, "reverse-log-uniform"), "0 <= low < high < 1"),
        ((1e-3, 1e3, "loguniform"), r"looks like a range whose prior is none of 'uniform'"),
        ((1e-3, 1e3, "log"), r"looks like a range"),
        ((1.0, 10.0, "log-uniform", 1), "base must be a number greater than 1"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_dimension_is_refused_with_the_name_of_the_parameter(spec, message):
    with pytest.raises(ValueError, match=rf"search_spaces: parameter 'clf__C': .*({message})"):
        space_of({"clf__C": spec}, tuple_is_range=True)


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        ({}, "search_spaces: a space is empty"),
        ([], r"search_spaces is empty, got \[\]"),
        ([{"C": [1]}, {}], r"search_spaces\[1\]: a space is empty"),
        ([{"C": [1]}, {"C": []}], r"search_spaces\[1\]: parameter 'C': the list of values is empty"),
        (["C"], r"search_spaces\[0\]: each space must be a dict .* got 'C'"),
        ([({"C": [1]}, 5)], r"search_spaces\[0\]: each space must be a dict"),
        ("C", "search_spaces must be a dict .* got 'C'"),
        (None, "search_spaces must be a dict"),
        (iter([{"C": [1]}]), "search_spaces must be a dict"),
        ({3: [1]}, "parameter names must be non-empty strings, got 3"),
        ({"": [1]}, "parameter names must be non-empty strings, got ''"),
    ],
)
def test_what_is_no_space_is_refused(spaces, message):
    with pytest.raises(ValueError, match=message):
        space_of(spaces)


# --- Space --------------------------------------------------------------------------------------

SPACES = {
    "one branch": {"a": [1, 2, 3], "b": ["x", None], "c": Integer(1, 4)},
    "continuum": {"a": Real(0, 1), "b": st.loguniform(1, 100), "c": ["x", "y", "z"], "d": (3, 1)},
    "disjoint branches": [
        {"kernel": ["linear"], "C": Integer(1, 3)},
        {"kernel": ["rbf", "poly"], "C": Integer(1, 3), "gamma": [0.1, 1, 10]},
    ],
    "branches of other dimensions": [{"C": [1, 2, 3], "a": [1]}, {"C": Integer(5, 6), "b": [SVC(), SVC(C=3)]}],
    "overlapping lists": [{"C": [1, 2, 3]}, {"C": [3, 4]}, {"C": [2, 5, 9]}, {"C": [1, 2, 3]}],
    "overlapping ranges": [{"C": Real(0, 1), "a": [1, 2]}, {"C": Real(0.5, 2), "a": [2, 3]}],
    "integers within numbers": [{"C": Integer(1, 4)}, {"C": [1, 4, 9]}],
}
a_space = pytest.mark.parametrize("name", SPACES)


def assert_same_point(first, second, tolerance=1e-9):
    assert np.array_equal(np.isnan(first), np.isnan(second))
    assert np.nan_to_num(first) == pytest.approx(np.nan_to_num(second), abs=tolerance)


@a_space
@settings(max_examples=40)
@given(data=hs.data())
def test_snap_is_encode_of_decode_and_idempotent(name, data):
    space = space_of(SPACES[name])
    cell = hs.floats(0, 1) | hs.just(math.nan)
    point = np.array(data.draw(hs.lists(cell, min_size=space.n_columns, max_size=space.n_columns)))
    snapped = space.snap(point[np.newaxis])[0]
    assert_same_point(space.encode(space.decode(point)), snapped)
    assert_same_point(space.snap(snapped[np.newaxis])[0], snapped)
    assert space.contains(space.decode(point))


@a_space
def test_samples_belong_to_the_space_and_round_trip(name):
    space = space_of(SPACES[name])
    rng = np.random.default_rng(0)
    for _ in range(50):
        params = space.sample(rng)
        assert space.contains(params)
        again = space.decode(space.encode(params))
        assert again.keys() == params.keys()
        for key, value in params.items():
            assert again[key] == (pytest.approx(value) if type(value) is float else value)


@pytest.mark.parametrize("name", [n for n in SPACES if n not in ("continuum", "overlapping ranges")])
def test_enumerate_is_the_product_of_the_values_of_each_branch(name):
    space = space_of(SPACES[name])
    branches = SPACES[name] if isinstance(SPACES[name], list) else [SPACES[name]]
    expected = []
    for branch in branches:
        lists = [list(range(v.low, v.high + 1)) if isinstance(v, Integer) else v for v in branch.values()]
        candidates = [dict(zip(branch, values, strict=True)) for values in itertools.product(*lists)]
        expected += [params for params in candidates if params not in expected]
    points = space.enumerate()
    assert [space.decode(point) for point in points] == expected
    assert space.size == len(points) == len(expected)
    for point, params in zip(points, expected, strict=True):
        assert_same_point(space.encode(params), point, 0)
    assert_same_point(space.snap(points), points, 0)


@pytest.mark.parametrize(
    ("spaces", "size"),
    [
        ({"a": Real(0, 1)}, math.inf),
        ({"a": Integer(1, 10**6), "b": ["x", "y"]}, 2e6),
        ([{"a": Integer(1, 5000)}, {"b": st.norm()}], math.inf),
        ([{"a": Integer(1, 5000)}, {"b": [1, 2]}], 5002),
        ({"a": [SVC()], "b": [3, 3, 3]}, 1),
    ],
    ids=repr,
)
def test_size_counts_distinct_parameters(spaces, size):
    space = space_of(spaces)
    assert space.size == size
    if size > 4096:
        with pytest.raises(ValueError, match="at most 4096 can be enumerated"):
            space.enumerate()


def test_columns_of_one_branch_are_its_parameters_in_order():
    space = space_of({"b": ["x", "y", "z"], "a": Real(0, 1), "c": [1, 2, 3]})
    assert [column.name for column in space.columns] == ["b", "a", "c"]
    assert (space.n_columns, space.n_categories) == (3, (3, 0, 0))
    assert [None if levels is None else len(levels) for levels in space.level_units] == [3, None, 3]


def test_equal_dimensions_of_one_name_share_a_column_and_others_do_not():
    space = space_of(
        [
            {"C": st.loguniform(1, 10), "kernel": ["linear"], "tol": OnlyRvs()},
            {"C": st.loguniform(1, 10), "kernel": ["rbf"], "gamma": st.gamma(2)},
            {"C": st.loguniform(1, 20), "kernel": ["rbf"], "gamma": st.gamma(2), "tol": OnlyRvs()},
            {"tol": st.dirichlet([1, 2]), "kernel": st.poisson(3)},
            {"tol": st.dirichlet([1, 3]), "kernel": st.poisson(3)},
        ]
    )
    names = ["", "C", "kernel", "tol", "kernel", "gamma", "C", "tol", "kernel", "tol"]
    assert [column.name for column in space.columns] == names
    assert space.n_categories[0] == 5
    assert repr(space).startswith("Space(['C', 'kernel', 'tol'], ['C', 'kernel', 'gamma'], ")


def test_inactive_columns_are_nan_whatever_the_point_held():
    space = space_of([{"a": Real(0, 1)}, {"b": [1, 2, 3]}])
    snapped = space.snap(np.array([[0.1, 0.3, 0.3], [0.9, 0.3, 0.3], [0.9, 0.3, math.nan], [math.nan, 0.2, 0.4]]))
    nan = math.nan
    assert_same_point(snapped[:3], np.array([[0.25, 0.3, nan], [0.75, nan, 0.5], [0.75, nan, 0.5]]))
    assert_same_point(snapped[3], np.array([0.25, 0.2, nan]))


def test_vectorised_snapping_equals_snapping_row_by_row():
    space = space_of([SPACES["one branch"], SPACES["continuum"], *SPACES["disjoint branches"]])
    points = np.random.default_rng(0).random((500, space.n_columns)) * 1.2 - 0.1
    rows = np.concatenate([space.snap(point[np.newaxis]) for point in points])
    assert np.array_equal(space.snap(points), rows, equal_nan=True)
    assert space.snap(points[:0]).shape == (0, space.n_columns)


def test_samples_choose_branches_evenly_and_follow_each_distribution():
    space = space_of([{"a": Categorical(["x", "y"], prior=[0.8, 0.2])}, {"b": [1, 2, 3, 4]}])
    rng = np.random.default_rng(0)
    draws = [next(iter(space.sample(rng).items())) for _ in range(4000)]
    expected = {("a", "x"): 1600, ("a", "y"): 400, **{("b", k): 500 for k in (1, 2, 3, 4)}}
    assert chi_square_p([draws.count(key) for key in expected], list(expected.values())) > 1e-4


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"C": 5}, "search_spaces: {'C': 5} belongs to no branch"),
        ({"C": 2, "kernel": "poly"}, "search_spaces: parameter 'kernel': 'poly' is not one of the values"),
        ({"a": 3}, "search_spaces: {'a': 3} belongs to no branch; .* with values of it"),
        ({"C": 0, "kernel": "rbf", "gamma": 1}, "search_spaces: parameter 'C': 0 is not an integer from 1 to 3"),
    ],
)
def test_parameters_of_no_branch_are_refused(params, message):
    degree = Integer(1, 3)
    kernels = [{"kernel": ["linear"], "C": degree}, {"kernel": ["rbf"], "C": degree, "gamma": [1]}]
    space = space_of([*kernels, {"a": [1]}, {"a": [2]}])
    assert not space.contains(params)
    with pytest.raises(ValueError, match=message):
        space.encode(params)


@a_space
def test_spaces_stay_equal_when_pickled_and_copied(name):
    space = space_of(SPACES[name])
    for twin in (pickle.loads(pickle.dumps(space)), copy.deepcopy(space), space_of(copy.deepcopy(SPACES[name]))):
        assert twin == space
        assert twin.n_columns == space.n_columns
        points = np.random.default_rng(0).random((20, space.n_columns))
        assert np.array_equal(twin.snap(points), space.snap(points), equal_nan=True)
    assert space != space_of({"other": [1]})
    assert space != SPACES[name]


def test_an_estimator_of_a_copied_space_is_found_by_its_original():
    spaces = {"clf": [SVC(), RandomForestClassifier(max_depth=3)]}
    space = space_of(copy.deepcopy(spaces))
    assert [space.encode({"clf": value})[0] for value in spaces["clf"]] == [0.25, 0.75]
    assert not space.contains({"clf": SVC(C=2)})


# --- Names --------------------------------------------------------------------------------------


class Draws:
    """One of some values, that nobody can list."""

    def __init__(self, values):
        self.values = values

    def rvs(self, random_state):
        return self.values[random_state.randint(len(self.values))]


PIPELINE = Pipeline([("scale", StandardScaler()), ("clf", SVC())])
C = Real(1, 10)


@pytest.mark.parametrize(
    "spaces",
    [
        {"clf__C": C, "scale__with_mean": [True, False], "scale": ["passthrough", StandardScaler()]},
        {"clf": [SVC(), RandomForestClassifier()], "clf__C": C},
        {"clf__C": C, "clf": [RandomForestClassifier(), SVC()]},
        [{"clf": [SVC()], "clf__C": C}, {"clf": [RandomForestClassifier()], "clf__max_depth": [1, 2]}],
        {
            "clf": [SVC(), AdaBoostClassifier()],
            "clf__estimator": [SVC(), DecisionTreeClassifier()],
            "clf__estimator__max_depth": [1, 2],
        },
        {"steps": [PIPELINE.steps], "clf__C": C},
        {"last__C": C, "steps": Draws([[("last", SVC())], [("last", NuSVC())]])},
        {"last__C": C, "steps": [[("last", SVC())], [("last", NuSVC()), ("C", SVC())]]},
        {"last": [NuSVC(), SVC()], "last__C": C, "steps": [[("last", NuSVC())]]},
        {"clf": [Pipeline([("a", SVC())])], "clf__steps": [[("b", SVC())]], "clf__b__C": C},
        {"clf__C": OnlyRvs(), "scale": [None, StandardScaler()]},
        {"clf": [*(RandomForestClassifier(n) for n in range(1, 250)), SVC()], "clf__C": C},
    ],
    ids=repr,
)
def test_names_accepted_with_one_value_of_the_searched_steps_are_accepted(spaces):
    before = repr(PIPELINE.get_params())
    listed = repr(spaces)
    space_of(spaces).check_names(PIPELINE)
    assert repr(PIPELINE.get_params()) == before
    assert repr(spaces) == listed


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        ({"clf__c": C}, r"search_spaces: 'clf__c' is not a parameter of Pipeline; did you mean 'clf__C'\?"),
        ({"clf_C": C}, r"'clf_C' is not a parameter of Pipeline; did you mean 'clf__C'\?"),
        ({"unheard": C}, "'unheard' is not a parameter of Pipeline; it has .*get_params"),
        ({"clf": [SVC(), RandomForestClassifier()], "clf__gama": C}, "'clf__gama' is not a parameter"),
        ({"clf": [RandomForestClassifier()], "clf__qqqqqqqq": C}, "'clf__qqqqqqqq' .* with any value of 'clf'"),
        ({"clf": ["passthrough"], "clf__C": C}, "'clf__C' is not a parameter"),
        (
            {"steps": [[("last", SVC())]], "last__D": C},
            "'last__D' is not .* any value of 'steps'; did .*'last__C'",
        ),
        (
            {"steps": [[("last", SVC())]], "clf__C": C},
            "'clf__C' is not .* any value of 'steps'",
        ),
        ([{"clf__C": C}, {"clf__D": C}], r"search_spaces\[1\]: 'clf__D'"),
        (
            {"clf": [SVC(), RandomForestClassifier()], "clf__C": C, "clf__max_depth": [1]},
            "no value of 'clf' has all of 'clf__C', 'clf__max_depth'.* list of dicts",
        ),
    ],
    ids=repr,
)
def test_names_never_accepted_are_refused(spaces, message):
    with pytest.raises(ValueError, match=message):
        space_of(spaces).check_names(PIPELINE)


class Counting(BaseEstimator):
    """Counts how often it is cloned: each clone is made by the constructor."""

    made = 0

    def __init__(self, step=None):
        Counting.made += 1
        self.step = step


def test_the_number_of_combinations_tried_is_bounded():
    wrappers = [Pipeline([("clf", SVC(C=c))]) for c in range(1, 31)]
    forests = [RandomForestClassifier(n) for n in range(1, 31)]
    spaces = {"step": wrappers, "step__clf": forests, "step__clf__max_depth": [1, 2]}
    Counting.made = 0
    with pytest.raises(ValueError, match="'step__clf__C' is not a parameter of Counting with any value of 'step', "):
        space_of({**spaces, "step__clf__C": C}).check_names(Counting(wrappers[0]))
    assert Counting.made < 300
    # Of 31 * 30 combinations not all are tried: a name that one of them accepts gets the benefit of the doubt.
    space_of({**spaces, "step__clf": [*forests, SVC()], "step__clf__C": C}).check_names(Counting(wrappers[0]))


def test_independent_steps_are_checked_apart():
    steps = Pipeline([(f"s{i}", SVC()) for i in range(6)])
    values = [RandomForestClassifier(), DecisionTreeClassifier(), StandardScaler(), SVC()]
    spaces = {f"s{i}": values for i in range(6)} | {f"s{i}__C": C for i in range(6)}
    space_of(spaces).check_names(steps)  # 4 ** 6 combinations, of which one is right


def test_levels_are_read_only():
    dimension = parse([1, 2, 3])
    assert isinstance(dimension, Levels)
    with pytest.raises(ValueError, match="read-only"):
        dimension.level_units()[0] = 0.5
