"""Utilisation: how busy two workers are when fit times are heavy-tailed.

    OMP_NUM_THREADS=1 python docs/benchmarks/utilisation.py

Fits sleep for a lognormal time (with a sigma of 1.5 one in a hundred takes about thirty times the median); where such
a fit comes last, nothing can be done beside it, so the median of several runs is shown.
Utilisation is the time spent in fits and scores divided by n_jobs times the time from the first submit
to the last result. Fits that were run and then discarded (folds are pruned) do not count as time spent; the rows "every
fold" have no pruning. With random_state=None outcomes count as they arrive; with
an int they wait for earlier ones, so that the result does not depend on timing: what that costs is
the second column.
HyperbandSearchCV trains by passes: each takes a ninth of such a time, the same for all passes of a trial and fold.
For scikit-learn, which reports no times of submission, the whole call stands for the denominator.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any, Self

import numpy as np
import sklearn.model_selection
from scipy.stats import uniform
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from sksearch import BayesSearchCV, HyperbandSearchCV, RandomizedSearchCV


class Sleeper(ClassifierMixin, BaseEstimator):
    """Sleeps for a time that depends on its parameters and rows alone."""

    def __init__(self, a: float = 0.5, b: float = 0.5, mean: float = 0.1, sigma: float = 1.5) -> None:
        self.a = a
        self.b = b
        self.mean = mean
        self.sigma = sigma

    def fit(self, X: Any, y: Any) -> Self:
        """Sleep."""
        return self._sleep(X, y, 1.0)

    def _sleep(self, X: Any, y: Any, share: float) -> Self:
        self.classes_ = np.unique(y)
        seed = [int(1e9 * self.a), int(1e9 * self.b), int(1e6 * abs(float(np.sort(X[:, 0])[0])))]
        rng = np.random.default_rng(seed)
        time.sleep(share * self.mean * rng.lognormal(-(self.sigma**2) / 2, self.sigma))
        self.noise_ = 0.02 * rng.normal()
        return self

    def score(self, X: Any, y: Any) -> float:
        """Something to maximise, which differs a little from fold to fold."""
        return -((self.a - 0.3) ** 2) - (self.b - 0.7) ** 2 + self.noise_


class PassingSleeper(Sleeper):
    """Sleeps in every pass over the rows."""

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Sleep a ninth of the time."""
        return self._sleep(X, y, 1 / 9)


def utilisation(search: Any, n_jobs: int, X: Any, y: Any) -> float:
    """Share of the workers' time that is spent in fits and scores."""
    start = time.perf_counter()
    search.fit(X, y)
    wall = time.perf_counter() - start
    if hasattr(search, "history_"):
        busy = sum(row["fit_time"] + row["score_time"] for row in search.history_)
        first = min(row["start_time"] for row in search.history_)
        return busy / (n_jobs * (max(row["end_time"] for row in search.history_) - first))
    results = search.cv_results_
    return 5 * float((results["mean_fit_time"] + results["mean_score_time"]).sum()) / (n_jobs * wall)


def main() -> None:
    """Print a line for each search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--n-iter", type=int, default=80)
    parser.add_argument("--mean", type=float, default=0.1, help="mean seconds of a fit")
    parser.add_argument("--sigma", type=float, default=1.5, help="of their logarithms")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", help="part of the names of the searches to run")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 3)), rng.integers(0, 2, 100)
    space = {"a": uniform(), "b": uniform()}
    times = {"mean": arguments.mean, "sigma": arguments.sigma}
    sleeper, passing = Sleeper(**times), PassingSleeper(**times)
    common = {"n_jobs": arguments.n_jobs, "cv": 5, "refit": False}
    n_iter = arguments.n_iter
    makes = {
        "RandomizedSearchCV": lambda s: RandomizedSearchCV(sleeper, space, n_iter=n_iter, random_state=s, **common),
        "BayesSearchCV": lambda s: BayesSearchCV(sleeper, space, n_iter=n_iter, random_state=s, **common),
        "BayesSearchCV, every fold": lambda s: BayesSearchCV(
            sleeper, space, n_iter=n_iter, prune_folds=False, random_state=s, **common
        ),
        "HyperbandSearchCV": lambda s: HyperbandSearchCV(
            passing, space, max_resources=27, n_candidates=n_iter, random_state=s, **common
        ),
        "HyperbandSearchCV, every fold": lambda s: HyperbandSearchCV(
            passing, space, max_resources=27, n_candidates=n_iter, prune_folds=False, random_state=s, **common
        ),
        "HyperbandSearchCV, published, every fold": lambda s: HyperbandSearchCV(
            passing, space, max_resources=27, schedule="hyperband", prune_folds=False, random_state=s, **common
        ),
        "scikit-learn's RandomizedSearchCV": lambda s: sklearn.model_selection.RandomizedSearchCV(
            sleeper, space, n_iter=n_iter, random_state=s, **common
        ),
    }
    print(f"utilisation of {arguments.n_jobs} workers, median of {arguments.repeats}")
    print(f"{'search':40s}  random_state=None   int")
    warnings.simplefilter("ignore")
    for name, make in makes.items():
        if arguments.only not in name:
            continue
        clone(make(0)).set_params(estimator__mean=0.0).fit(X, y)  # starts the workers
        seeds: list[list[int | None]] = [[None] * arguments.repeats, list(range(arguments.repeats))]
        values = [[utilisation(make(seed), arguments.n_jobs, X, y) for seed in column] for column in seeds]
        free, seeded = (float(np.median(column)) for column in values)
        print(f"{name:40s}  {free:17.3f}  {seeded:5.3f}", flush=True)


if __name__ == "__main__":
    main()
