"""Callables for `refit=`: against brute force over the rows, hand-made results and real searches of every class."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
import sklearn.model_selection as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris, make_classification
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from sksearch import BayesSearchCV, GridSearchCV, HyperbandSearchCV, RandomizedSearchCV
from sksearch.selection import OneStandardError, one_standard_error, posterior_mean

X, Y = make_classification(n_samples=120, n_features=8, n_informative=4, n_classes=3, random_state=0)
LEAVES = [2, 3, 5, 8, 13, 21, 34]
SEARCHES: dict[str, Any] = {
    "grid": lambda **kw: GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_leaf_nodes": LEAVES}, **kw),
    "randomized": lambda **kw: RandomizedSearchCV(
        DecisionTreeClassifier(random_state=0), {"max_leaf_nodes": LEAVES}, n_iter=5, random_state=0, **kw
    ),
    "bayes": lambda **kw: BayesSearchCV(
        DecisionTreeClassifier(random_state=0), {"max_leaf_nodes": LEAVES}, n_iter=7, random_state=0, **kw
    ),
    "hyperband": lambda **kw: HyperbandSearchCV(
        DecisionTreeClassifier(random_state=0),
        {"max_leaf_nodes": LEAVES},
        resource="n_samples",
        min_resources=20,
        n_candidates=7,
        random_state=0,
        **kw,
    ),
}


def results_of(rows: list[list[float]], sizes: list[Any], status: list[str] | None = None) -> dict[str, Any]:
    """`cv_results_` of candidates of these sizes with these fold scores."""
    scores = np.array(rows, dtype=float)
    columns: dict[str, Any] = {f"split{fold}_test_score": scores[:, fold] for fold in range(scores.shape[1])}
    columns |= {
        "params": [{"size": size} for size in sizes],
        "mean_test_score": scores.mean(axis=1),
        "std_test_score": scores.std(axis=1),
        "mean_fit_time": np.arange(len(rows), 0, -1.0),
    }
    return columns if status is None else {**columns, "status": np.array(status)}


def simplest_by_enumeration(rows: list[list[float]], sizes: list[Any], status: list[str]) -> int:
    """The rule in plain loops over Python numbers."""
    means = [sum(row) / len(row) for row in rows]
    rivals = [i for i in range(len(rows)) if status[i] == "ok" and math.isfinite(means[i])]
    best = max(rivals, key=lambda i: means[i])
    spread = math.sqrt(sum((x - means[best]) ** 2 for x in rows[best]) / len(rows[best]))
    bar = means[best] - spread / math.sqrt(len(rows[best]))
    chosen = best
    for i in rivals:
        simpler = sizes[i] < sizes[chosen] or (
            sizes[i] == sizes[chosen] and (means[i], -i) > (means[chosen], -chosen) and i != chosen
        )
        if means[i] >= bar and simpler:
            chosen = i
    return chosen


@st.composite
def searches(draw: st.DrawFn) -> tuple[list[list[float]], list[int], list[str]]:
    n_rows, n_folds = draw(st.integers(1, 6)), draw(st.sampled_from([2, 4]))
    # Eighths: means, deviations of two or four folds and their comparison are exact wherever ties can occur.
    score = st.integers(0, 8).map(lambda eighths: eighths / 8)
    rows = draw(st.lists(st.lists(score, min_size=n_folds, max_size=n_folds), min_size=n_rows, max_size=n_rows))
    sizes = draw(st.lists(st.integers(1, 4), min_size=n_rows, max_size=n_rows))
    status = draw(st.lists(st.sampled_from(["ok", "ok", "failed", "pruned"]), min_size=n_rows, max_size=n_rows))
    status[draw(st.integers(0, n_rows - 1))] = "ok"
    failed = [[math.nan] * n_folds if state == "failed" else row for row, state in zip(rows, status, strict=True)]
    return failed, sizes, status


@settings(max_examples=300, deadline=None)
@given(searches())
def test_the_simplest_as_good_row_is_the_one_found_by_enumeration(case: tuple[Any, Any, Any]) -> None:
    rows, sizes, status = case
    chosen = one_standard_error(complexity="size")(results_of(rows, sizes, status))
    assert chosen == simplest_by_enumeration(rows, sizes, status)


@settings(max_examples=100, deadline=None)
@given(searches(), st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_rows_but_for_ties(case: tuple[Any, Any, Any], random: Any) -> None:
    rows, sizes, status = case
    order = random.sample(range(len(rows)), len(rows))
    here = one_standard_error(complexity="size")(results_of(rows, sizes, status))
    there = one_standard_error(complexity="size")(
        results_of([rows[i] for i in order], [sizes[i] for i in order], [status[i] for i in order])
    )
    assert sizes[order[there]] == sizes[here]


# Means 0.70, 0.79, 0.80; the best has a standard deviation of 0.02 over 4 folds, so a standard error of 0.01.
HAND = [[0.70] * 4, [0.79] * 4, [0.78, 0.82, 0.78, 0.82]]


def test_a_row_exactly_one_standard_error_below_is_as_good_and_one_further_below_is_not() -> None:
    best = [0.75, 1.0, 0.75, 1.0]  # mean 7/8, deviation 1/8, standard error 1/16
    assert one_standard_error(complexity="size")(results_of([[13 / 16] * 4, best], [1, 2])) == 0
    assert one_standard_error(complexity="size")(results_of([[13 / 16 - 1e-9] * 4, best], [1, 2])) == 1


@pytest.mark.parametrize(
    ("complexity", "sizes", "expected"),
    [
        ("size", [1, 5, 9], 1),
        ("-size", [1, 5, 9], 2),
        ("size", [1, None, 9], 2),  # no limit is the least simple
        ("-size", [1, None, 9], 2),
        (lambda params: -params["size"], [1, 5, 9], 2),
        (lambda params: (params["size"] > 3, -params["size"]), [1, 5, 9], 2),
        (None, [1, 5, 9], 2),  # the last row was fitted fastest
    ],
)
def test_what_counts_as_simple(complexity: Any, sizes: list[Any], expected: int) -> None:
    results = results_of([[0.70] * 4, [0.7901] * 4, HAND[2]], sizes)
    assert one_standard_error(complexity=complexity)(results) == expected
    assert OneStandardError(complexity)(results) == expected


def test_the_largest_posterior_mean_of_complete_trials_is_chosen() -> None:
    results = {
        "status": np.array(["ok", "pruned", "ok", "failed", "ok"]),
        "posterior_mean_test_score": np.array([0.5, 0.9, 0.7, 0.95, np.nan]),
    }
    assert posterior_mean(results) == 2


def test_where_resources_differ_only_trials_at_the_top_are_chosen() -> None:
    results = results_of([[0.9] * 4, [0.7] * 4, [0.8, 0.6, 0.8, 0.6]], [1, 2, 3])
    halving = {**results, "n_resources": np.array([10, 90, 90])}
    assert one_standard_error(complexity="size")(halving) == 1
    hyperband = {**results, "n_resources": np.array([10, 81, 90]), "status": np.array(["paused", "ok", "ok"])}
    assert one_standard_error(complexity="size")(hyperband) == 1
    unfinished = {**results, "n_resources": np.array([90, 10, 10]), "status": np.array(["paused"] * 3)}
    assert one_standard_error(complexity="-size")(unfinished) == 0


@pytest.mark.parametrize("kind", SEARCHES)
@pytest.mark.parametrize("refit", [one_standard_error(complexity="max_leaf_nodes"), one_standard_error])
def test_every_search_refits_what_the_rule_chooses(kind: str, refit: OneStandardError) -> None:
    search = SEARCHES[kind](refit=refit, cv=4).fit(X, Y)
    results = search.cv_results_
    status = results["status"].tolist() if "status" in results else ["ok"] * len(results["params"])
    rows = [[results[f"split{fold}_test_score"][row] for fold in range(4)] for row in range(len(status))]
    times = results["mean_fit_time"].tolist()
    sizes = times if refit.complexity is None else [params["max_leaf_nodes"] for params in results["params"]]
    assert search.best_index_ == simplest_by_enumeration(rows, sizes, status)
    assert search.best_estimator_.max_leaf_nodes == search.best_params_["max_leaf_nodes"]
    assert not hasattr(search, "best_score_")
    assert search.predict(X).shape == Y.shape


def test_the_rule_simplifies_the_example_of_scikit_learns_documentation() -> None:
    pipeline = Pipeline([("reduce_dim", PCA(random_state=0)), ("classify", LogisticRegression(max_iter=200))])
    grid = {"reduce_dim__n_components": [1, 2, 3, 4]}
    data = load_iris(return_X_y=True)
    plain = sk.GridSearchCV(pipeline, grid, cv=10).fit(*data)
    for search_class in (sk.GridSearchCV, GridSearchCV):  # the callable serves both
        refit = one_standard_error(complexity="reduce_dim__n_components")
        search = search_class(pipeline, grid, cv=10, refit=refit).fit(*data)
        means, deviations = plain.cv_results_["mean_test_score"], plain.cv_results_["std_test_score"]
        bar = plain.best_score_ - deviations[plain.best_index_] / 10**0.5
        assert search.best_params_["reduce_dim__n_components"] == 1 + int(np.argmax(means >= bar))
        assert search.best_params_["reduce_dim__n_components"] < plain.best_params_["reduce_dim__n_components"]


def test_bayes_refits_the_largest_posterior_mean() -> None:
    search = SEARCHES["bayes"](refit=posterior_mean, cv=3).fit(X, Y)
    assert search.best_index_ == int(np.argmax(search.cv_results_["posterior_mean_test_score"]))
    assert not hasattr(search, "best_score_")


@pytest.mark.parametrize("kind", ["grid", "randomized", "hyperband"])
def test_a_search_without_a_posterior_says_what_to_use(kind: str) -> None:
    search = SEARCHES[kind](refit=posterior_mean, cv=3)
    with pytest.raises(ValueError, match="only BayesSearchCV has; use BayesSearchCV, or refit=True"):
        search.fit(X, Y)
    assert not hasattr(search, "cv_results_")  # before any fit


@pytest.mark.parametrize("kind", SEARCHES)
def test_a_search_whose_rule_raises_keeps_its_results(kind: str) -> None:
    search = SEARCHES[kind](refit=lambda results: posterior_mean({"params": results["params"]}), cv=3)
    with pytest.raises(ValueError, match="only BayesSearchCV has"):
        search.fit(X, Y)
    assert len(search.cv_results_["params"]) == len({entry["trial"] for entry in search.history_})


METRICS = {"accuracy": "accuracy", "f1": "f1_macro"}


@pytest.mark.parametrize("kind", SEARCHES)
def test_with_several_metrics_one_is_named(kind: str) -> None:
    refit = one_standard_error(complexity="max_leaf_nodes")
    with pytest.raises(ValueError, match=r"several metrics, \['accuracy', 'f1'\]; name one: .*metric='accuracy'"):
        SEARCHES[kind](refit=refit, scoring=METRICS, cv=3).fit(X, Y)
    named = SEARCHES[kind](refit=refit(metric="f1"), scoring=METRICS, cv=3).fit(X, Y)
    single = {
        key.replace("_test_f1", "_test_score"): value
        for key, value in named.cv_results_.items()
        if not key.endswith("_test_accuracy")
    }
    assert named.best_index_ == refit(single)
    with pytest.raises(ValueError, match=r"metric must be one of \['accuracy', 'f1'\], got 'auc'"):
        refit(metric="auc")(named.cv_results_)


def test_one_metric_of_a_callable_scorer_need_not_be_named() -> None:
    def scorer(estimator: Any, X: Any, y: Any) -> dict[str, float]:
        return {"hits": accuracy_score(y, estimator.predict(X))}

    search = SEARCHES["grid"](refit=one_standard_error(complexity="max_leaf_nodes"), scoring=scorer).fit(X, Y)
    assert 0 <= search.best_index_ < len(LEAVES)


class Fragile(ClassifierMixin, BaseEstimator):
    """The smaller the size, the simpler; size 0 cannot be fitted."""

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def fit(self, X: Any, y: Any) -> Fragile:
        if self.size == 0:
            raise ValueError("nothing to fit")
        self.classes_ = np.unique(y)
        return self

    def score(self, X: Any, y: Any) -> float:
        return 0.5


@pytest.mark.filterwarnings("ignore:(?s).*fits failed", "ignore:One or more of the test scores are non-finite")
@pytest.mark.parametrize("error_score", [np.nan, 0.5])
def test_a_failed_trial_is_not_the_simplest(error_score: float) -> None:
    refit = one_standard_error(complexity="size")
    search = BayesSearchCV(Fragile(), {"size": [0, 1, 2, 3]}, n_iter=4, refit=refit, error_score=error_score, cv=2)
    search.fit(X, Y)
    assert search.best_params_ == {"size": 1}
    search.set_params(refit=posterior_mean).fit(X, Y)
    assert search.best_params_["size"] > 0


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (results_of(HAND, ["s", "m", "l"]), r"complexity='size' is 'm' in trial 1, not a number; give a function"),
        ({**results_of(HAND, [1, 2, 3]), "params": [{}] * 3}, r"complexity='size' is no parameter of trial 1"),
        (results_of([[math.nan] * 2], [1]), "no trial was completely evaluated"),
        (results_of([[0.5] * 2], [1], ["pruned"]), "no trial was completely evaluated"),
    ],
)
def test_what_cannot_be_decided_is_refused(results: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        one_standard_error(complexity="size")(results)


def test_settings_are_checked_when_they_are_made() -> None:
    with pytest.raises(TypeError, match="complexity must be the name of a parameter, a callable or None, got 3"):
        one_standard_error(complexity=3)
    with pytest.raises(TypeError, match="settings come before the results"):
        one_standard_error(results_of(HAND, [1, 2, 3]), metric="f1")  # type: ignore[call-overload]


def test_rules_are_cloned_pickled_compared_and_shown() -> None:
    rule = one_standard_error(complexity="-clf__alpha", metric="f1")
    assert rule == OneStandardError("-clf__alpha", "f1") == pickle.loads(pickle.dumps(rule))
    assert eval(repr(rule)) == rule
    assert rule(complexity="n") == OneStandardError("n", "f1")
    search = clone(SEARCHES["grid"](refit=rule))
    assert search.refit == rule
    assert pickle.loads(pickle.dumps(SEARCHES["bayes"](refit=one_standard_error))).refit == one_standard_error
    assert clone(SEARCHES["bayes"](refit=posterior_mean)).refit is posterior_mean


def test_an_interrupted_search_whose_rule_finds_nothing_still_raises_keyboard_interrupt() -> None:
    calls = []

    class Interrupting(Fragile):
        def fit(self, X: Any, y: Any) -> Interrupting:
            calls.append(self.size)
            if len(calls) > 2:
                raise KeyboardInterrupt
            super().fit(X, y)
            return self

    search = GridSearchCV(Interrupting(), {"size": [1, 2, 3]}, cv=2, refit=lambda _: posterior_mean({}))
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert [params["size"] for params in search.cv_results_["params"]] == [1]


def test_a_setting_by_position_is_refused_with_the_remedy() -> None:
    with pytest.raises(TypeError, match=r"write one_standard_error\(complexity=\.\.\.\)"):
        one_standard_error("C")
