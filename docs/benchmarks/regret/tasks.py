"""What the searches are compared on: classical functions, and cross-validation of scikit-learn's models.

A space is what every method can be given: a dict of names to `(low, high)`, `(low, high, "log-uniform")` (integers
where both bounds are) or a list of categories; or a list of such dicts, of which one is chosen.

`REPORTED` are the tasks of the comparison. `DEVELOPMENT` are others, on other models, data or functions: settings of
BayesSearchCV that no paper settles were chosen on them, and they are in no report.
"""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine, make_friedman1, make_friedman3
from sklearn.decomposition import PCA
from sklearn.ensemble import AdaBoostClassifier, ExtraTreesClassifier, GradientBoostingRegressor, RandomForestRegressor
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import ElasticNet, LogisticRegression, SGDClassifier
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier

Params = dict[str, Any]
Branch = dict[str, Any]

TRUE_SPLITS = range(10_000, 10_010)


@dataclass(frozen=True)
class Task:
    """Something to maximise."""

    space: Branch | list[Branch]
    score: Callable[[Params, int], float]
    """(params, seed of the split) -> score; a function of the params alone ignores the seed."""
    optimum: float | None = None
    """None where it takes a reference search."""

    @property
    def branches(self) -> list[Branch]:
        """The dicts of which one is chosen."""
        return self.space if isinstance(self.space, list) else [self.space]

    def folds(self, params: Params, seed: int) -> list[float]:
        """What the score is the mean of; the score alone where there are no folds."""
        if isinstance(self.score, CrossValidated):
            return self.score.folds(params, seed)
        return [self.score(params, seed)]

    def true_value(self, params: Params, splits: Sequence[int] = TRUE_SPLITS) -> float:
        """The score without the luck of one split."""
        if self.optimum is not None:
            return self.score(params, 0)
        return statistics.fmean(self.score(params, seed) for seed in splits)

    def draw(self, rng: np.random.Generator) -> Params:
        """One point at random: a branch, then every parameter on its own scale."""
        return {
            name: draw_value(values, rng) for name, values in self.branches[rng.integers(len(self.branches))].items()
        }


def draw_value(values: Any, rng: np.random.Generator) -> Any:
    """One value of a range or a list."""
    if isinstance(values, list):
        return values[rng.integers(len(values))]
    low, high, *prior = values
    whole = is_whole(values)
    # an integer is the nearest one to a point of a range that is half a step wider
    low, high = (low - 0.5, high + 0.5) if whole else (low, high)
    value = math.exp(rng.uniform(math.log(low), math.log(high))) if prior else rng.uniform(low, high)
    return min(max(round(value), math.ceil(low)), math.floor(high)) if whole else value


def is_whole(values: Any) -> bool:
    """Whether a range is one of integers."""
    return isinstance(values, tuple) and isinstance(values[0], int)


def branch_of(branches: Sequence[Branch], params: Mapping[str, Any]) -> int:
    """Which of the dicts a point comes from."""
    return next(
        position
        for position, branch in enumerate(branches)
        if branch.keys() == params.keys()
        and all(params[name] in values for name, values in branch.items() if isinstance(values, list))
    )


# --- functions ------------------------------------------------------------------------------------------------------


def branin(params: Params, _seed: int) -> float:
    """Two real columns, three equal maxima."""
    x, y = params["x"], params["y"]
    bowl = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    return -(bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


HARTMANN_WEIGHTS = np.array([1, 1.2, 3, 3.2])
HARTMANN6_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
HARTMANN6_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
HARTMANN3_A = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
HARTMANN3_P = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])


def hartmann6(params: Params, _seed: int) -> float:
    """Six real columns."""
    x = np.array([params[f"x{i}"] for i in range(6)])
    return float(HARTMANN_WEIGHTS @ np.exp(-np.sum(HARTMANN6_A * (x - HARTMANN6_P) ** 2, axis=1)))


def hartmann3(params: Params, _seed: int) -> float:
    """Three real columns."""
    x = np.array([params[f"x{i}"] for i in range(3)])
    return float(HARTMANN_WEIGHTS @ np.exp(-np.sum(HARTMANN3_A * (x - HARTMANN3_P) ** 2, axis=1)))


def mixed_ackley(params: Params, _seed: int) -> float:
    """Three real columns, an integer and two categories; the optimum is off the centre of each."""
    x = np.array([params["x0"] - 0.31, params["x1"] + 0.17, params["x2"] - 0.52, (params["k"] - 7) / 10])
    x = np.append(x, {"a": 0.6, "b": 0.0, "c": 0.3, "d": 0.9}[params["kind"]])
    x = np.append(x, 0.0 if params["flag"] else 0.4)
    return float(
        20 * np.exp(-0.2 * np.sqrt(np.mean((3 * x) ** 2))) + np.exp(np.mean(np.cos(6 * np.pi * x))) - 20 - math.e
    )


TREE_LEAVES = {
    "left left": ("x4", 0.1, "r8"),
    "left right": ("x5", 0.2, "r8"),
    "right left": ("x6", 0.3, "r9"),
    "right right": ("x7", 0.4, "r9"),
}


def tree(params: Params, _seed: int) -> float:
    """Four branches that share parameters by pairs (Jenatton et al., 2017, Section 5.1)."""
    own, offset, shared = TREE_LEAVES[params["leaf"]]
    return -float(params[own] ** 2 + offset + params[shared])


def levy(params: Params, _seed: int) -> float:
    """Four real columns."""
    w = 1 + (np.array([params[f"x{i}"] for i in range(4)]) - 1) / 4
    waves = np.sum((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2))
    return -float(np.sin(np.pi * w[0]) ** 2 + waves + (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2))


def mixed_styblinski(params: Params, _seed: int) -> float:
    """Three real columns, an integer one, and a category that moves the best place of a real one."""
    shift = {"a": 0.0, "b": 1.5, "c": -1.5}[params["kind"]]
    x = np.array([params["x0"] + shift, params["x1"], params["x2"], params["k"] / 2])
    best = 39.16616570377142
    return -float(np.mean(0.5 * (x**4 - 16 * x**2 + 5 * x)) + best + 3 * abs(shift))


# --- scikit-learn's models ------------------------------------------------------------------------------------------

LOADERS: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "cancer": lambda: load_breast_cancer(return_X_y=True),
    "diabetes": lambda: load_diabetes(return_X_y=True),
    "digits": lambda: load_digits(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
    "friedman1": lambda: make_friedman1(400, noise=1.0, random_state=0),
    "friedman3": lambda: make_friedman3(400, noise=0.1, random_state=0),
}


@cache
def data(name: str, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """A data set of scikit-learn, thinned so that thousands of fits are cheap."""
    X, y = LOADERS[name]()
    if n_rows == len(X):
        return X, y
    strata = y if y.dtype.kind == "i" else None
    X, _, y, _ = train_test_split(X, y, train_size=n_rows, stratify=strata, random_state=0)
    return X, y


class CrossValidated:
    """Scores of a model on a shuffled split: larger is better.

    Parameters
    ----------
    estimators : estimator, or dict of estimators by the value of the parameter "model"
    name, n_rows : of the data
    scoring : str
    """

    def __init__(self, estimators: Any, name: str, n_rows: int, scoring: str) -> None:
        self._estimators = estimators
        self._data = (name, n_rows)
        self._scoring = scoring
        self._splits = lru_cache(maxsize=32)(self._new_splits)

    def _new_splits(self, seed: int, n_folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
        folds = (KFold if self._scoring == "r2" else StratifiedKFold)(n_folds, shuffle=True, random_state=seed)
        return list(folds.split(*data(*self._data)))

    def folds(self, params: Params, seed: int, n_folds: int = 3, chosen: slice | None = None) -> list[float]:
        """The score of each fold of the split with this seed, or of the chosen ones."""
        X, y = data(*self._data)
        values = dict(params)
        estimator = self._estimators[values.pop("model")] if isinstance(self._estimators, dict) else self._estimators
        model = clone(estimator).set_params(**values)
        model.set_params(**{key: seed for key in model.get_params() if key.endswith("random_state")})
        splits = self._splits(seed, n_folds)[chosen or slice(None)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # solvers that did not converge are part of the space
            return list(cross_val_score(model, X, y, cv=splits, scoring=self._scoring))

    def __call__(self, params: Params, seed: int) -> float:
        """The mean over the 3-fold split with this seed."""
        return float(np.mean(self.folds(params, seed)))


LOG = "log-uniform"
COMPONENTS = {"pca__n_components": (2, 40)}


def after_pca(model: Any) -> Pipeline:
    """A classifier on principal components."""
    return Pipeline([("scale", StandardScaler()), ("pca", PCA(svd_solver="full")), ("clf", model)])


REPORTED = {
    "branin": Task({"x": (-5.0, 10.0), "y": (0.0, 15.0)}, branin, -0.39788735772973816),
    "hartmann6": Task({f"x{i}": (0.0, 1.0) for i in range(6)}, hartmann6, 3.322368011391339),
    "mixed ackley": Task(
        {**{f"x{i}": (-1.0, 1.0) for i in range(3)}, "k": (0, 20), "kind": ["a", "b", "c", "d"], "flag": [True, False]},
        mixed_ackley,
        0.0,
    ),
    "tree": Task(
        [{"leaf": [leaf], own: (-1.0, 1.0), shared: (0.0, 1.0)} for leaf, (own, _, shared) in TREE_LEAVES.items()],
        tree,
        -0.1,
    ),
    "svc": Task(
        {
            "svc__C": (1e-3, 1e4, LOG),
            "svc__gamma": (1e-6, 1e1, LOG),
            "svc__kernel": ["rbf", "poly", "sigmoid"],
            "svc__degree": (1, 5),
            "svc__coef0": (-1.0, 1.0),
        },
        CrossValidated(make_pipeline(StandardScaler(), SVC(max_iter=5000)), "cancer", 560, "accuracy"),
    ),
    "kernel ridge": Task(
        {
            "kernelridge__alpha": (1e-5, 1e3, LOG),
            "kernelridge__gamma": (1e-5, 1e1, LOG),
            "kernelridge__kernel": ["rbf", "laplacian", "polynomial"],
            "kernelridge__degree": (1, 4),
        },
        CrossValidated(make_pipeline(StandardScaler(), KernelRidge()), "diabetes", 250, "r2"),
    ),
    "boosting": Task(
        {
            "n_estimators": (5, 80),
            "learning_rate": (1e-3, 1.0, LOG),
            "max_depth": (1, 6),
            "subsample": (0.3, 1.0),
            "min_samples_leaf": (1, 40, LOG),
            "max_features": (0.1, 1.0),
        },
        CrossValidated(GradientBoostingRegressor(), "diabetes", 250, "r2"),
    ),
    "choice": Task(
        [
            {"model": ["svc"], "clf__C": (1e-2, 1e3, LOG), "clf__gamma": (1e-5, 1.0, LOG), **COMPONENTS},
            {
                "model": ["neighbours"],
                "clf__n_neighbors": (1, 30),
                "clf__weights": ["uniform", "distance"],
                **COMPONENTS,
            },
            {"model": ["logistic"], "clf__C": (1e-4, 1e3, LOG), **COMPONENTS},
        ],
        CrossValidated(
            {
                "svc": after_pca(SVC()),
                "neighbours": after_pca(KNeighborsClassifier()),
                "logistic": after_pca(LogisticRegression(max_iter=100)),
            },
            "digits",
            900,
            "accuracy",
        ),
    ),
    "neighbours": Task(
        {
            "pca__n_components": (1, 50),
            "pca__whiten": [True, False],
            "kneighborsclassifier__n_neighbors": (1, 50),
            "kneighborsclassifier__weights": ["uniform", "distance"],
            "kneighborsclassifier__p": (1.0, 4.0),
        },
        CrossValidated(make_pipeline(PCA(svd_solver="full"), KNeighborsClassifier()), "digits", 300, "neg_log_loss"),
    ),
    "sgd": Task(
        {
            "sgdclassifier__alpha": (1e-6, 1e1, LOG),
            "sgdclassifier__l1_ratio": (0.0, 1.0),
            "sgdclassifier__loss": ["log_loss", "modified_huber"],
            "sgdclassifier__learning_rate": ["constant", "adaptive", "optimal"],
            "sgdclassifier__eta0": (1e-5, 1e1, LOG),
        },
        CrossValidated(
            make_pipeline(StandardScaler(), SGDClassifier(penalty="elasticnet", max_iter=20)),
            "cancer",
            560,
            "neg_log_loss",
        ),
    ),
    "forest": Task(
        {
            "n_estimators": (4, 24),
            "max_features": (0.02, 1.0),
            "min_samples_leaf": (1, 20, LOG),
            "max_depth": (2, 20),
            "criterion": ["gini", "entropy"],
            "bootstrap": [True, False],
        },
        CrossValidated(ExtraTreesClassifier(), "digits", 300, "neg_log_loss"),
    ),
    "network": Task(
        {
            "mlpclassifier__hidden_layer_sizes": (2, 32, LOG),
            "mlpclassifier__learning_rate_init": (1e-4, 1.0, LOG),
            "mlpclassifier__alpha": (1e-6, 1e1, LOG),
            "mlpclassifier__batch_size": (16, 128, LOG),
            "mlpclassifier__activation": ["relu", "tanh", "logistic"],
            "mlpclassifier__beta_1": (0.5, 0.99),
        },
        CrossValidated(make_pipeline(StandardScaler(), MLPClassifier(max_iter=8)), "digits", 300, "neg_log_loss"),
    ),
    "splines": Task(
        {
            "splinetransformer__n_knots": (2, 12),
            "splinetransformer__degree": (1, 4),
            "splinetransformer__knots": ["uniform", "quantile"],
            "splinetransformer__extrapolation": ["constant", "linear", "continue"],
            "elasticnet__alpha": (1e-4, 1e2, LOG),
            "elasticnet__l1_ratio": (0.0, 1.0),
        },
        CrossValidated(
            make_pipeline(SplineTransformer(), StandardScaler(), ElasticNet(max_iter=100)), "diabetes", 400, "r2"
        ),
    ),
    "decision tree": Task(
        {
            "max_depth": (1, 20),
            "min_samples_leaf": (1, 60, LOG),
            "min_samples_split": (2, 100, LOG),
            "max_features": (0.05, 1.0),
            "ccp_alpha": (1e-5, 1e-1, LOG),
            "criterion": ["gini", "entropy"],
            "class_weight": [None, "balanced"],
        },
        CrossValidated(DecisionTreeClassifier(), "cancer", 560, "neg_log_loss"),
    ),
}

DEVELOPMENT = {
    "levy": Task({f"x{i}": (-10.0, 10.0) for i in range(4)}, levy, 0.0),
    "hartmann3": Task({f"x{i}": (0.0, 1.0) for i in range(3)}, hartmann3, 3.862782147820755),
    "mixed styblinski": Task(
        {**{f"x{i}": (-5.0, 5.0) for i in range(3)}, "k": (-10, 10), "kind": ["a", "b", "c"]},
        mixed_styblinski,
        -0.0,
    ),
    "svr": Task(
        {
            "svr__C": (1e-2, 1e4, LOG),
            "svr__gamma": (1e-5, 1e1, LOG),
            "svr__epsilon": (1e-3, 1e1, LOG),
            "svr__kernel": ["rbf", "poly", "sigmoid"],
            "svr__shrinking": [True, False],
        },
        CrossValidated(make_pipeline(StandardScaler(), SVR(max_iter=2000)), "friedman1", 200, "r2"),
    ),
    "nystroem": Task(
        {
            "nystroem__n_components": (2, 80),
            "nystroem__gamma": (1e-5, 1e0, LOG),
            "nystroem__kernel": ["rbf", "laplacian", "sigmoid"],
            "logisticregression__C": (1e-4, 1e4, LOG),
        },
        CrossValidated(
            make_pipeline(StandardScaler(), Nystroem(), LogisticRegression(max_iter=50)), "wine", 178, "neg_log_loss"
        ),
    ),
    "random forest": Task(
        {
            "n_estimators": (2, 20),
            "max_features": (0.1, 1.0),
            "min_samples_leaf": (1, 30, LOG),
            "max_depth": (1, 15),
            "max_samples": (0.2, 1.0),
            "criterion": ["squared_error", "absolute_error"],
        },
        CrossValidated(RandomForestRegressor(), "friedman3", 200, "r2"),
    ),
    "ada boost": Task(
        {
            "n_estimators": (2, 30),
            "learning_rate": (1e-3, 1e1, LOG),
            "estimator__max_depth": (1, 6),
            "estimator__min_samples_leaf": (1, 30, LOG),
            "estimator__criterion": ["gini", "entropy", "log_loss"],
        },
        CrossValidated(AdaBoostClassifier(DecisionTreeClassifier()), "cancer", 200, "neg_log_loss"),
    ),
    "small choice": Task(
        [
            {"model": ["svc"], "clf__C": (1e-2, 1e3, LOG), "clf__gamma": (1e-5, 1.0, LOG)},
            {"model": ["neighbours"], "clf__n_neighbors": (1, 30), "clf__p": (1.0, 3.0)},
            {"model": ["bayes"], "clf__var_smoothing": (1e-9, 1.0, LOG), "pca__n_components": (2, 13)},
        ],
        CrossValidated(
            {
                "svc": after_pca(SVC(probability=False)),
                "neighbours": after_pca(KNeighborsClassifier()),
                "bayes": after_pca(GaussianNB()),
            },
            "wine",
            178,
            "accuracy",
        ),
    ),
    # scores that are mostly luck: single trees
    "tree wine": Task(
        {
            "max_depth": (1, 20),
            "min_samples_leaf": (1, 40, LOG),
            "min_samples_split": (2, 60, LOG),
            "max_features": (0.05, 1.0),
            "ccp_alpha": (1e-5, 1e-1, LOG),
            "criterion": ["gini", "entropy"],
            "splitter": ["best", "random"],
        },
        CrossValidated(DecisionTreeClassifier(), "wine", 178, "neg_log_loss"),
    ),
    "tree friedman": Task(
        {
            "max_depth": (1, 20),
            "min_samples_leaf": (1, 40, LOG),
            "max_features": (0.05, 1.0),
            "ccp_alpha": (1e-5, 1e1, LOG),
            "splitter": ["best", "random"],
        },
        CrossValidated(DecisionTreeRegressor(), "friedman1", 400, "r2"),
    ),
    "extra tree digits": Task(
        {
            "max_depth": (1, 20),
            "min_samples_leaf": (1, 40, LOG),
            "max_features": (0.05, 1.0),
            "min_impurity_decrease": (1e-6, 1e-1, LOG),
            "criterion": ["gini", "entropy"],
            "class_weight": [None, "balanced"],
        },
        CrossValidated(ExtraTreeClassifier(), "digits", 600, "neg_log_loss"),
    ),
}

TASKS = {**REPORTED, **DEVELOPMENT}
