"""A pytest plugin: scikit-learn's test modules import our searches in place of its own.

Loaded with `-p` in a process of its own (see test_sklearn_suite.py), before any test module of
scikit-learn is imported.
"""

from __future__ import annotations

import pytest
import sklearn.model_selection
import sklearn.model_selection._search

import sksearch

CANNOT_APPLY = {
    "test_custom_run_search": (
        "Tests BaseSearchCV's `_run_search` hook, and compares the attributes of a subclass of it with GridSearchCV's; "
        "ours has `history_` and `stop_reason_` besides."
    ),
}
"""Tests of BaseSearchCV, ParameterGrid or the Halving classes themselves, with the reason."""

OURS = (sksearch.GridSearchCV, sksearch.RandomizedSearchCV)

for _class in OURS:
    for _module in (sklearn.model_selection, sklearn.model_selection._search):
        setattr(_module, _class.__name__, _class)


def applies(item: pytest.Item) -> bool:
    """Whether a test may be one of ours: the tests of routing have all meta-estimators of scikit-learn, one by one."""
    tested = getattr(item, "callspec", None) and item.callspec.params.get("metaestimator")
    return item.name not in CANNOT_APPLY and (tested is None or tested["metaestimator"] in OURS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that cannot apply."""
    left_out = [item for item in items if not applies(item)]
    items[:] = [item for item in items if applies(item)]
    config.hook.pytest_deselected(items=left_out)
