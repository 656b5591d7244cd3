"""Which classifier reads handwritten digits best, and with which parameters? Five searches of the same pipeline.

Prints one line for each: scikit-learn's GridSearchCV, then the four of sksearch. The space has two branches: a
support vector machine and a random forest, each with parameters of its own; whether to scale the pixels is searched
in both.
"""

from __future__ import annotations

from time import perf_counter

import sklearn.model_selection
from scipy.stats import loguniform, randint, uniform
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import sksearch

pipeline = Pipeline([("scale", StandardScaler()), ("clf", SVC())])
svm, forest = SVC(), RandomForestClassifier(n_estimators=50, random_state=0)
scalers = [StandardScaler(), "passthrough"]

# 52 combinations of listed values ...
grid = [
    {"scale": scalers, "clf": [svm], "clf__C": [0.1, 1, 10, 100], "clf__gamma": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]},
    {"scale": scalers, "clf": [forest], "clf__max_features": [0.1, 0.3, 0.5], "clf__min_samples_leaf": [1, 3]},
]
# ... and the ranges they stand for.
space = [
    {"scale": scalers, "clf": [svm], "clf__C": loguniform(0.1, 100), "clf__gamma": loguniform(1e-5, 1e-1)},
    {
        "scale": scalers,
        "clf": [forest],
        "clf__max_features": uniform(0.05, 0.5),
        "clf__min_samples_leaf": randint(1, 6),
    },
]
shared = {"cv": 5, "n_jobs": 2}

searches = {
    "scikit-learn's GridSearchCV": sklearn.model_selection.GridSearchCV(pipeline, grid, **shared),
    "GridSearchCV": sksearch.GridSearchCV(pipeline, grid, **shared),
    "RandomizedSearchCV": sksearch.RandomizedSearchCV(pipeline, space, n_iter=30, random_state=0, **shared),
    "BayesSearchCV": sksearch.BayesSearchCV(pipeline, space, n_iter=30, random_state=0, **shared),
    "HyperbandSearchCV": sksearch.HyperbandSearchCV(
        pipeline, space, resource="n_samples", min_resources=100, random_state=0, **shared
    ),
}


def main() -> None:
    """Run every search on three quarters of the digits, and score its best model on the rest."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    print(f"{'search':27}  {'fits':>5}  {'seconds':>7}  {'best CV score':>13}  {'held-out score':>14}")
    for name, search in searches.items():
        start = perf_counter()
        search.fit(X_train, y_train)
        seconds = perf_counter() - start
        if hasattr(search, "history_"):  # a candidate may be spared folds, and go through several rungs
            n_fits = sum(evaluation["n_splits_done"] for evaluation in search.history_)
        else:
            n_fits = len(search.cv_results_["params"]) * search.n_splits_
        print(
            f"{name:27}  {n_fits:5}  {seconds:7.1f}  {search.best_score_:13.4f}  {search.score(X_test, y_test):14.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
