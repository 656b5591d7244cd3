"""Samples of training rows: nested, of the right size, with every class, along groups."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit
from sklearn.multioutput import MultiOutputClassifier
from sklearn.svm import SVC

from resolution import resolve
from sksearch import HyperbandSearchCV
from sksearch.resources import Fold, Samples

IRIS = load_iris(return_X_y=True)
SEED = (7, 2)


def samples(growth, train, y, groups=None):
    """The sample at every resource, from 1 to that of the largest fold."""
    return [
        growth.rows(train, y, groups, n_resources=n_resources, seed=SEED) for n_resources in range(1, growth.n_rows + 1)
    ]


def resolve_rows(**arguments):
    """Samples for a classifier: 100 training rows, three folds and three classes unless told otherwise."""
    return resolve(**{"estimator": SVC(), "resource": "n_samples", "n_rows": 100, "n_splits": 3, **arguments})


def test_groups_need_no_order():
    train, y, numbers = np.arange(90), np.repeat([0, 1, 2], 30), np.tile([0, 1, 2], 30)
    growth = resolve_rows(n_rows=90).growth
    for third in ("3", "nan"):  # which is equal to no other nan
        named = np.array([float(third) if number == 2 else (None, "a")[number] for number in numbers], dtype=object)
        for rows, expected in zip(samples(growth, train, y, named), samples(growth, train, y, numbers), strict=True):
            assert np.array_equal(rows, expected)


# --- properties -------------------------------------------------------------------------------------------


@st.composite
def folds(draw):
    n = draw(st.integers(2, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = rng.choice(draw(st.integers(1, 6)), size=n, p=None)
    groups = rng.integers(0, draw(st.integers(1, 12)), size=n) if draw(st.booleans()) else None
    train = np.sort(rng.choice(n, size=draw(st.integers(1, n)), replace=False))
    return train, y, groups


@settings(max_examples=200)
@given(fold=folds(), stratify=st.booleans(), extra=st.integers(0, 50))
def test_samples_are_nested_exact_and_lose_no_class(fold, stratify, extra):
    train, y, groups = fold
    growth = Samples(n_rows=len(train) + extra, stratify=stratify)
    smaller: set[int] = set()
    for number, rows in enumerate(samples(growth, train, y, groups)):
        assert list(rows) == sorted(set(rows.tolist()))
        assert smaller <= set(rows.tolist()) <= set(train.tolist())
        smaller = set(rows.tolist())
        fewest = len(np.unique(y[train])) if stratify else 1
        assert len(rows) == max(fewest, len(train) * (number + 1) // growth.n_rows)
        if stratify:
            assert set(y[rows]) == set(y[train])
    assert np.array_equal(rows, train)


@settings(max_examples=100)
@given(
    n=st.integers(2, 80),
    n_targets=st.integers(1, 4),
    n_labels=st.integers(1, 3),
    make=st.sampled_from([np.asarray, sparse.csr_matrix, sparse.csc_array, pd.DataFrame]),
    grouped=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_samples_lose_no_class_of_any_target(n, n_targets, n_labels, make, grouped, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_labels, size=(n, n_targets))
    groups = rng.integers(0, 5, size=n) if grouped else None
    train = np.sort(rng.choice(n, size=max(1, 2 * n // 3), replace=False))
    growth = Samples(n_rows=len(train), stratify=True)
    smaller: set[int] = set()
    for rows in samples(growth, train, make(labels), groups):
        assert smaller <= set(rows.tolist()) <= set(train.tolist())
        smaller = set(rows.tolist())
        for column in labels.T:
            assert set(column[rows]) == set(column[train])
    assert np.array_equal(rows, train)


@settings(max_examples=100)
@given(
    n=st.integers(15, 150),
    n_groups=st.integers(3, 15),
    n_classes=st.integers(0, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_folds_that_keep_groups_together_have_samples_of_whole_groups(n, n_groups, n_classes, seed):
    """`n_classes` 0 is regression. Of the groups in a sample one may be cut, and one more for each class."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.arange(n) % n_groups)
    y = rng.normal(size=n) if n_classes == 0 else rng.integers(0, n_classes, size=n)
    cv = GroupKFold(3) if n_classes == 0 or np.unique(y, return_counts=True)[1].min() < 3 else StratifiedGroupKFold(3)
    splits = list(cv.split(np.zeros(n), y, groups))
    growth = Samples(n_rows=max(len(train) for train, _ in splits), stratify=n_classes > 0)
    for train, test in splits:
        for rows in samples(growth, train, y, groups):
            cut = [group for group in set(groups[rows]) if (groups[rows] == group).sum() < (groups == group).sum()]
            assert len(cut) <= 1 + n_classes
            assert not set(groups[rows]) & set(groups[test])
            assert n_classes == 0 or set(y[rows]) == set(y[train])


@pytest.mark.parametrize(
    ("n_classes", "amounts", "message"),
    [
        (10, {"min_resources": 9}, "min_resources=9 rows are too few to hold one of each class, .*at least 10"),
        (10, {"min_resources": 1, "max_resources": 9}, "max_resources=9 rows are too few.*at least 10"),
        ((3, 4, 2), {"min_resources": 6}, "min_resources=6 rows .* of each class of each target.*at least 7"),
    ],
)
def test_fewer_rows_than_classes_are_refused(n_classes, amounts, message):
    """A sample has a row of each class: it would be larger than it says."""
    with pytest.raises(ValueError, match=message):
        resolve_rows(n_classes=n_classes, **amounts)
    assert resolve_rows(n_classes=n_classes).min_resources >= 6
    least = max(amounts["min_resources"] + 1, 10)
    assert resolve_rows(n_classes=n_classes, min_resources=least).min_resources == least


@settings(max_examples=60)
@given(
    labels=arrays(np.int64, st.tuples(st.integers(6, 40), st.integers(2, 6)), elements=st.integers(0, 3)),
    seed=st.integers(0, 2**32 - 1),
)
def test_samples_of_several_targets_hold_every_class_in_as_many_rows_as_they_say(labels, seed):
    train, _ = next(KFold(3, shuffle=True, random_state=seed % 1000).split(labels))
    arguments = {"n_classes": tuple(len(set(column)) for column in labels.T), "y": labels, "n_rows": len(train)}
    least = next(n for n in range(1, len(train) + 1) if suits(min_resources=n, **arguments))
    assert all(suits(min_resources=n, **arguments) for n in range(least, len(train) + 1))
    assert least <= len(np.unique(labels, axis=0))
    growth = Samples(n_rows=len(train), stratify=True)
    for n in range(least, len(train) + 1):
        rows = growth.rows(train, labels, None, n_resources=n, seed=seed)
        assert len(rows) == n
        assert all(set(column[rows]) == set(column[train]) for column in labels.T)


def suits(**arguments):
    try:
        resolve_rows(**arguments)
    except ValueError:
        return False
    return True


def test_labels_of_many_targets_may_be_in_few_rows():
    Y = np.tile(np.arange(60)[:, None] % 2, (1, 40))
    search = HyperbandSearchCV(
        DummyClassifier(),
        {"strategy": ["prior", "uniform", "stratified"]},
        resource="n_samples",
        min_resources=10,
        max_resources=30,
        cv=KFold(2, shuffle=True, random_state=0),
        random_state=0,
    ).fit(np.zeros((60, 1)), Y)
    assert search.n_resources_ == [10, 30]


@pytest.mark.parametrize("given", [(), (np.zeros((90, 1)),)])
def test_the_plan_of_a_regression_needs_no_classes(given):
    search = HyperbandSearchCV(
        DummyRegressor(), {"quantile": [0.1, 0.2]}, resource="n_samples", min_resources=1, max_resources=27
    )
    assert search.plan(*given)[0]["n_resources"] == 1


def test_as_many_labels_as_rows_leave_one_size():
    resolved = resolve_rows(n_rows=40, n_splits=2, n_classes=(2,) * 60)
    assert resolved[1:] == (40, 40)


def test_groups_may_be_a_column_or_pairs():
    train, groups = np.arange(100), np.random.default_rng(0).integers(0, 9, size=100)
    growth = Samples(n_rows=100, stratify=False)
    column, pairs = pd.DataFrame({"group": groups}), np.column_stack([groups // 3, groups % 3])
    for rows in zip(*(samples(growth, train, None, each) for each in (groups, column, pairs)), strict=True):
        assert np.array_equal(rows[0], rows[1])
        assert np.array_equal(rows[0], rows[2])


@settings(max_examples=50)
@given(counts=st.lists(st.integers(5, 60), min_size=1, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_samples_of_stratified_folds_keep_the_shares_of_the_classes(counts, seed):
    """To a row from rounding and one as there is at least one of each, and what these take from other classes."""
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    train, _ = next(StratifiedKFold(5).split(np.zeros(len(y)), y))
    growth = Samples(n_rows=len(train), stratify=True)
    shares = np.bincount(y[train]) / len(train)
    for rows in samples(growth, train, y):
        found = np.bincount(y[rows], minlength=len(counts))
        assert np.all(np.abs(found - len(rows) * shares) <= 1.5 + shares * len(counts))


def test_samples_differ_between_folds_and_not_between_trials():
    growth = Samples(n_rows=100, stratify=False)
    y = np.zeros(100)
    first, again, other = (
        growth.rows(np.arange(100), y, None, n_resources=10, seed=seed).tolist() for seed in [(1, 0), (1, 0), (1, 1)]
    )
    assert first == again != other


def test_samples_of_large_classes_keep_their_shares():
    y = np.repeat(["a", "b", "c"], [600, 300, 100])
    growth = Samples(n_rows=1000, stratify=True)
    for n in (10, 50, 333, 777):
        rows = growth.rows(np.arange(1000), y, None, n_resources=n, seed=SEED)
        counts = np.array([(y[rows] == label).sum() for label in "abc"])
        assert np.abs(counts - n * np.array([0.6, 0.3, 0.1])).max() <= 1.5


def test_samples_are_fitted_anew():
    X, y = IRIS
    growth = Samples(n_rows=150, stratify=True)
    rows = growth.rows(np.arange(150), y, None, n_resources=60, seed=SEED)
    fold = Fold(X[rows], y[rows], {"sample_weight": np.ones(60)}, SEED)
    model = growth.fit(SVC(), fold, n_resources=60, trained=0)
    assert model.shape_fit_ == (60, 4)


@pytest.mark.parametrize("estimator", [DummyClassifier(), MultiOutputClassifier(DummyClassifier())])
@pytest.mark.parametrize("n_classes", [3, None])
def test_classifiers_have_samples_with_every_class(estimator, n_classes):
    resolved = resolve_rows(estimator=estimator, n_classes=n_classes)
    assert resolved.growth == Samples(n_rows=100, stratify=n_classes is not None, least=resolved.min_resources)


@pytest.mark.parametrize("classifies", [True, False])
def test_small_folds_have_as_many_rows_as_the_search_asks_for_at_least(classifies):
    """Forty neighbours need forty rows, in the first fold of a time series, too."""
    splits = list(TimeSeriesSplit(4).split(np.zeros(400)))
    y = np.arange(400) % 2
    growth = resolve_rows(n_rows=320, n_splits=4, n_classes=2 if classifies else None, min_resources=40).growth
    for train, _ in splits:
        before = set()
        for n_resources in (40, 106, 320):
            rows = set(growth.rows(train, y, None, n_resources=n_resources, seed=SEED).tolist())
            assert len(rows) == max(40, len(train) * n_resources // 320)
            assert before <= rows <= set(train.tolist())
            before = rows


# --- whole searches ---------------------------------------------------------------------------------------


class Recorder(BaseEstimator):
    """Notes which rows it is fitted to, by their first column; the other columns are what y must be."""

    seen: ClassVar[list] = []

    def __init__(self, alpha=0.0):
        self.alpha = alpha

    def fit(self, X, y, sample_weight=None):
        assert np.array_equal(sample_weight, 1000 + X[:, 0])
        assert np.array_equal(X[:, 1:], np.asarray(y).reshape(len(X), -1))
        self.seen.append(set(X[:, 0].astype(int).tolist()))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X))


class RecordingClassifier(ClassifierMixin, Recorder):
    pass


class RecordingRegressor(RegressorMixin, Recorder):
    pass


def best_of_small_alpha(estimator, X, y, sample_weight=None):
    assert sample_weight is None or np.array_equal(sample_weight, 1000 + X[:, 0])
    return -estimator.alpha


N = 90
GROUPS = np.arange(N) % 12
RARE = np.where(np.arange(N) < 6, 2, np.arange(N) % 2)
NUMBERS = np.linspace(0, 1, N) ** 2
LABELS = np.column_stack([np.arange(N) % 2, np.arange(N) < 8, np.arange(N) % 30 == 0]).astype(int)


@pytest.mark.parametrize(
    ("estimator", "y", "groups", "cv"),
    [
        (RecordingClassifier(), RARE, None, StratifiedKFold(3)),
        (RecordingClassifier(), RARE, GROUPS, StratifiedGroupKFold(3)),
        (RecordingClassifier(), LABELS, None, KFold(3, shuffle=True, random_state=0)),
        (RecordingClassifier(), LABELS, GROUPS, GroupKFold(3)),
        (RecordingRegressor(), NUMBERS, None, KFold(3)),
        (RecordingRegressor(), NUMBERS, GROUPS, GroupKFold(3)),
        (RecordingRegressor(), np.column_stack([NUMBERS, -NUMBERS]), GROUPS, GroupKFold(3)),
    ],
)
def test_what_a_search_fits_is_a_sample_of_each_fold(estimator, y, groups, cv):
    X = np.column_stack([np.arange(N), y])
    Recorder.seen.clear()
    search = HyperbandSearchCV(
        estimator,
        {"alpha": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]},
        resource="n_samples",
        min_resources=9,
        n_candidates=9,
        schedule="hyperband",
        brackets=1,
        sampler="random",
        scoring=best_of_small_alpha,
        cv=cv,
        error_score="raise",
        random_state=0,
        prune_folds=False,
    ).fit(X, y, sample_weight=1000 + np.arange(N), **({} if groups is None else {"groups": groups}))
    fits, refit = Recorder.seen[:-1], Recorder.seen[-1]
    assert refit == set(range(N))
    assert len(fits) == 3 * len(search.history_)
    targets = np.reshape(y, (N, -1)).T if isinstance(estimator, ClassifierMixin) else []
    for number, (train, _) in enumerate(cv.split(X, y, groups)):
        fold = sorted(fits[number::3], key=len)
        assert all(rows <= set(train.tolist()) for rows in fold)
        assert len({len(rows) for rows in fold}) == len(search.n_resources_)
        assert len(fold[-1]) == pytest.approx(search.max_resources_, abs=len(train) // 10)
        for smaller, larger in pairwise(fold):
            assert smaller <= larger
        for rows in fold:
            assert all(set(target[list(rows)]) == set(target[train]) for target in targets)
            if groups is not None:
                cut = [group for group in set(groups[list(rows)]) if not set(np.flatnonzero(groups == group)) <= rows]
                assert len(cut) <= 1 + sum(len(set(target)) for target in targets)
