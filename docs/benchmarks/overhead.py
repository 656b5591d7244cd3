"""Overhead per fit: our GridSearchCV against scikit-learn's, on fits of about one millisecond.

    OMP_NUM_THREADS=1 python docs/benchmarks/overhead.py

The fit only spins for a millisecond, so all that differs is the search around it. The two searches
alternate in one process, and take turns in going first. The overhead of a call is its wall time less a
millisecond for each fit, shared by the workers; printed is the median over the pairs of the ratio of the
two overheads, with the quartiles, and the ratio of the whole calls.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, Self

import numpy as np
import sklearn.model_selection
from sklearn.base import BaseEstimator, ClassifierMixin

import sksearch


class Spin(ClassifierMixin, BaseEstimator):
    """Spends `seconds` in fit, and predicts the first class."""

    def __init__(self, parameter: float = 0.0, seconds: float = 0.001) -> None:
        self.parameter = parameter
        self.seconds = seconds

    def fit(self, X: Any, y: Any) -> Self:
        """Spin."""
        end = time.perf_counter() + self.seconds
        self.classes_ = np.unique(y)
        while time.perf_counter() < end:
            pass
        return self

    def score(self, X: Any, y: Any) -> float:
        """A number that costs nothing."""
        return self.parameter


def seconds(search_class: Any, n_candidates: int, n_jobs: int, X: Any, y: Any) -> float:
    """Wall time of one search."""
    grid = {"parameter": np.linspace(0, 1, n_candidates)}
    search = search_class(Spin(), grid, n_jobs=n_jobs, refit=False, cv=5)
    start = time.perf_counter()
    search.fit(X, y)
    return time.perf_counter() - start


def main() -> None:
    """Print one line for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--candidates", type=int, default=100)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 5)), rng.integers(0, 2, 100)
    n_fits = 5 * arguments.candidates
    print("n_jobs  overhead ratio (quartiles)    whole call    ours ms/fit  scikit-learn ms/fit")
    for n_jobs in (1, 2):
        pairs = []
        classes = [sksearch.GridSearchCV, sklearn.model_selection.GridSearchCV]
        for number in range(arguments.pairs + 1):
            order = [0, 1] if number % 2 else [1, 0]
            pair = [0.0, 0.0]
            for which in order:
                pair[which] = seconds(classes[which], arguments.candidates, n_jobs, X, y)
            pairs.append(pair)
        wall = np.array(pairs[1:])  # the first pair starts the workers
        overhead = 1000 * (wall - 0.001 * n_fits / n_jobs) / n_fits
        low, middle, high = np.quantile(overhead[:, 0] / overhead[:, 1], [0.25, 0.5, 0.75])
        whole = np.median(wall[:, 0] / wall[:, 1])
        ours, theirs = np.median(overhead, axis=0)
        print(f"{n_jobs:6d}  {middle:14.2f} ({low:.2f} to {high:.2f})  {whole:12.2f}  {ours:13.3f}  {theirs:19.3f}")


if __name__ == "__main__":
    main()
