"""Real models that grow, for the cost of a search: what is tuned, over which ranges, on which data.

Every model has 81 units of its resource at most: the default for `partial_fit`, and the models' own value elsewhere.
The ranges are wide ones of what people tune; none was chosen, and nothing in sksearch was, by what a search made of
`TASKS`. Settings are chosen on `DEVELOPMENT`: other models, on other data.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, make_classification, make_friedman1
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import get_scorer
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sksearch.resources import resolve_resource
from sksearch.space import Integer, Real

Params = dict[str, Any]
Data = tuple[np.ndarray, np.ndarray]

MOST = 81
N_SPLITS = 3
TRUE_SPLITS = (10_000, 10_001)


@dataclass(frozen=True)
class Task:
    """A model to tune."""

    make: Callable[[], Any]
    """The estimator, with 81 units of resource where it has a parameter for them."""
    space: dict[str, Any]
    """`Real`, `Integer` or a list of values by parameter."""
    data: Callable[[], Data]
    parameter: str
    """The resource as a parameter of the estimator."""
    scoring: str
    grows_by_passes: bool = False
    """Whether HyperbandSearchCV grows it by `partial_fit`."""

    @property
    def resource(self) -> str:
        """As HyperbandSearchCV is told."""
        return "partial_fit" if self.grows_by_passes else self.parameter

    @property
    def classifies(self) -> bool:
        """Whether y holds labels."""
        return self.scoring != "r2"

    def splitter(self, seed: int) -> Any:
        """Three folds, the same ones for all methods."""
        kind = StratifiedKFold if self.classifies else KFold
        return kind(N_SPLITS, shuffle=True, random_state=seed)

    @property
    def classes(self) -> np.ndarray | None:
        """All labels."""
        return np.unique(self.data()[1]) if self.classifies else None

    def growth(self) -> Any:
        """What HyperbandSearchCV grows the model by."""
        return resolve_resource(
            self.make(),
            self.resource,
            min_resources=1,
            max_resources=MOST,
            factor=3,
            branches=[dict.fromkeys(self.space, ())],
            n_rows=None,
            n_splits=N_SPLITS,
            n_classes=None if self.classes is None else len(self.classes),
        ).growth

    def amount(self, model: Any) -> int:
        """Units that a fitted model has had."""
        if self.grows_by_passes:  # n_iter_ knows the last call of partial_fit only
            return round(model.t_ * N_SPLITS / (N_SPLITS - 1) / len(self.data()[0]))
        return int(model.get_params()[self.parameter])

    def true_value(self, params: Params) -> float:
        """Mean score over splits that no search saw, fitted at once with all units."""
        X, y = self.data()
        model = clone(self.make()).set_params(**params)
        scorer = get_scorer(self.scoring)
        return statistics.fmean(
            statistics.fmean(cross_val_score(model, X, y, scoring=scorer, cv=self.splitter(seed)))
            for seed in TRUE_SPLITS
        )


@cache
def digits() -> Data:
    """Handwritten digits, pixels from 0 to 1."""
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@cache
def many_rows() -> Data:
    """Three classes, 20,000 rows, 25 columns."""
    return make_classification(20_000, 25, n_informative=15, n_redundant=5, n_classes=3, flip_y=0.05, random_state=0)


@cache
def friedman() -> Data:
    """A regression on five of ten columns."""
    return make_friedman1(3000, noise=1.0, random_state=0)


@cache
def two_classes() -> Data:
    """Two classes, 8,000 rows, 30 columns."""
    return make_classification(
        8000, 30, n_informative=12, n_redundant=4, n_clusters_per_class=4, flip_y=0.1, random_state=1
    )


@cache
def three_classes() -> Data:
    """Three classes, 4,000 rows, 40 columns."""
    return make_classification(
        4000, 40, n_informative=12, n_redundant=8, n_classes=3, n_clusters_per_class=3, flip_y=0.1, random_state=2
    )


@cache
def tumours() -> Data:
    """Two classes, 569 rows, 30 columns."""
    return load_breast_cancer(return_X_y=True)


@cache
def interactions() -> Data:
    """A regression on products of some of 20 columns, 6,000 rows."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(6000, 20))
    signal = np.sin(2 * X[:, 0]) * X[:, 1] + X[:, 2] ** 2 + X[:, 3] * (X[:, 4] > 0) + 0.5 * X[:, 5]
    return X, signal + 0.8 * rng.normal(size=6000)


@cache
def four_classes() -> Data:
    """Four classes, 5,000 rows, 20 columns."""
    return make_classification(5000, 20, n_informative=8, n_redundant=4, n_classes=4, flip_y=0.08, random_state=9)


def boosted_regressor() -> Any:
    """LightGBM by itself."""
    from lightgbm import LGBMRegressor

    return LGBMRegressor(n_estimators=MOST, subsample_freq=1, n_jobs=1, verbosity=-1, random_state=0)


def boosted_pipeline() -> Any:
    """LightGBM after a rotation."""
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(n_estimators=MOST, subsample_freq=1, n_jobs=1, verbosity=-1, random_state=0)
    return make_pipeline(StandardScaler(), PCA(25, random_state=0), model)


TASKS: dict[str, Task] = {
    "mlp": Task(
        lambda: MLPClassifier(max_iter=MOST, tol=0.0, n_iter_no_change=MOST, random_state=0),
        {
            "hidden_layer_sizes": [(16,), (32,), (64,), (128,), (32, 32), (64, 64)],
            "activation": ["relu", "tanh"],
            "learning_rate_init": Real(1e-4, 1e-1, "log-uniform"),
            "alpha": Real(1e-6, 1e1, "log-uniform"),
            "batch_size": Integer(16, 512, "log-uniform"),
        },
        digits,
        "max_iter",
        "accuracy",
        grows_by_passes=True,
    ),
    "sgd": Task(
        lambda: SGDClassifier(max_iter=MOST, tol=None, random_state=0),
        {
            "loss": ["hinge", "log_loss", "modified_huber"],
            "penalty": ["l2", "l1", "elasticnet"],
            "alpha": Real(1e-7, 1e-1, "log-uniform"),
            "l1_ratio": Real(0.0, 1.0),
            "learning_rate": ["optimal", "invscaling", "constant"],
            "eta0": Real(1e-4, 1.0, "log-uniform"),
            "average": [False, True],
        },
        many_rows,
        "max_iter",
        "accuracy",
        grows_by_passes=True,
    ),
    "boosting": Task(
        lambda: GradientBoostingRegressor(n_estimators=MOST, random_state=0),
        {
            "learning_rate": Real(5e-3, 1.0, "log-uniform"),
            "max_depth": Integer(1, 8),
            "subsample": Real(0.3, 1.0),
            "max_features": Real(0.1, 1.0),
            "min_samples_leaf": Integer(1, 50, "log-uniform"),
        },
        friedman,
        "n_estimators",
        "r2",
    ),
    "histograms": Task(
        lambda: HistGradientBoostingClassifier(max_iter=MOST, early_stopping=False, random_state=0),
        {
            "learning_rate": Real(5e-3, 1.0, "log-uniform"),
            "max_leaf_nodes": Integer(4, 128, "log-uniform"),
            "min_samples_leaf": Integer(1, 200, "log-uniform"),
            "l2_regularization": Real(1e-6, 1e2, "log-uniform"),
            "max_features": Real(0.1, 1.0),
        },
        two_classes,
        "max_iter",
        "roc_auc",
    ),
    "lightgbm": Task(
        boosted_pipeline,
        {
            "lgbmclassifier__learning_rate": Real(5e-3, 1.0, "log-uniform"),
            "lgbmclassifier__num_leaves": Integer(4, 128, "log-uniform"),
            "lgbmclassifier__min_child_samples": Integer(1, 200, "log-uniform"),
            "lgbmclassifier__reg_lambda": Real(1e-6, 1e2, "log-uniform"),
            "lgbmclassifier__colsample_bytree": Real(0.1, 1.0),
            "lgbmclassifier__subsample": Real(0.3, 1.0),
        },
        three_classes,
        "lgbmclassifier__n_estimators",
        "neg_log_loss",
    ),
}

DEVELOPMENT: dict[str, Task] = {
    "sgd": Task(
        lambda: SGDClassifier(max_iter=MOST, tol=None, random_state=0),
        {
            "loss": ["hinge", "log_loss", "modified_huber", "squared_hinge"],
            "penalty": ["l2", "l1", "elasticnet"],
            "alpha": Real(1e-8, 1e-1, "log-uniform"),
            "learning_rate": ["optimal", "constant", "adaptive"],
            "eta0": Real(1e-5, 1e1, "log-uniform"),
            "average": [False, True],
        },
        digits,
        "max_iter",
        "accuracy",
        grows_by_passes=True,
    ),
    "boosting": Task(
        lambda: GradientBoostingClassifier(n_estimators=MOST, random_state=0),
        {
            "learning_rate": Real(1e-3, 1.0, "log-uniform"),
            "max_depth": Integer(1, 6),
            "subsample": Real(0.2, 1.0),
            "max_features": Real(0.1, 1.0),
            "min_samples_leaf": Integer(1, 40, "log-uniform"),
        },
        tumours,
        "n_estimators",
        "neg_log_loss",
    ),
    "histograms": Task(
        lambda: HistGradientBoostingRegressor(max_iter=MOST, early_stopping=False, random_state=0),
        {
            "learning_rate": Real(1e-3, 1.0, "log-uniform"),
            "max_leaf_nodes": Integer(3, 64, "log-uniform"),
            "min_samples_leaf": Integer(2, 100, "log-uniform"),
            "l2_regularization": Real(1e-6, 1e2, "log-uniform"),
            "max_bins": Integer(16, 255, "log-uniform"),
        },
        interactions,
        "max_iter",
        "r2",
    ),
    "lightgbm": Task(
        boosted_regressor,
        {
            "learning_rate": Real(3e-3, 1.0, "log-uniform"),
            "num_leaves": Integer(3, 64, "log-uniform"),
            "min_child_samples": Integer(2, 200, "log-uniform"),
            "reg_lambda": Real(1e-6, 1e2, "log-uniform"),
            "colsample_bytree": Real(0.2, 1.0),
        },
        interactions,
        "n_estimators",
        "r2",
    ),
    "extra trees": Task(
        lambda: ExtraTreesClassifier(n_estimators=MOST, random_state=0),
        {
            "max_features": Real(0.05, 1.0),
            "min_samples_leaf": Integer(1, 30, "log-uniform"),
            "min_samples_split": Integer(2, 40, "log-uniform"),
            "max_depth": Integer(3, 30),
            "criterion": ["gini", "entropy"],
            "bootstrap": [False, True],
        },
        four_classes,
        "n_estimators",
        "accuracy",
    ),
}
