"""scikit-learn's own checks of what an estimator is, for all four searches."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.utils.estimator_checks import parametrize_with_checks

from sksearch import BayesSearchCV, GridSearchCV, HyperbandSearchCV, RandomizedSearchCV
from sksearch.space import Real

# Regressors of one output: Ridge takes a column as several outputs, where one of the checks wants a warning.
SEARCHES = [
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
    GridSearchCV(SVR(), {"C": [0.1, 1.0]}, cv=2),
    RandomizedSearchCV(SVR(), {"C": Real(1e-3, 10, "log-uniform")}, n_iter=2, cv=2, random_state=0),
    RandomizedSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": Real(1e-3, 10, "log-uniform")},
        n_iter=2,
        cv=2,
        random_state=0,
    ),
    BayesSearchCV(LogisticRegression(), {"C": (0.01, 10.0, "log-uniform")}, n_iter=5, cv=2, random_state=0),
    BayesSearchCV(SVR(), {"C": (0.01, 10.0, "log-uniform")}, n_iter=5, cv=2, random_state=0),
    HyperbandSearchCV(
        SGDClassifier(random_state=0), {"alpha": Real(1e-4, 1e-1, "log-uniform")}, max_resources=3, cv=2, random_state=0
    ),
    HyperbandSearchCV(
        SGDRegressor(random_state=0),
        {"alpha": Real(1e-4, 1e-1, "log-uniform")},
        resource="max_iter",
        max_resources=3,
        cv=2,
    ),
]


# The checks provoke failing and unfinished fits, and expect no word about their warnings.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(SEARCHES)
def test_a_search_is_an_estimator(estimator: Any, check: Any) -> None:
    check(estimator)
