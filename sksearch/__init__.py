"""Hyperparameter search for scikit-learn: grid, random, Bayesian and Hyperband, asynchronous."""

from __future__ import annotations

from sksearch.estimators.bayes import BayesSearchCV
from sksearch.estimators.grid import GridSearchCV
from sksearch.estimators.hyperband import HyperbandSearchCV
from sksearch.estimators.randomized import RandomizedSearchCV

__version__ = "0.1.0"

__all__ = ["BayesSearchCV", "GridSearchCV", "HyperbandSearchCV", "RandomizedSearchCV"]
