"""Every combination of a grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.model_selection import GridSearchCV as SklearnGridSearchCV
from sklearn.model_selection import ParameterGrid

from sksearch._sklearn import fit_of
from sksearch.estimators.base import Plan, Problem, SearchCV, check_candidate_names
from sksearch.execution import Delivery
from sksearch.samplers.fixed import FixedSampler
from sksearch.schedulers.full import FullScheduler


class GridSearchCV(SearchCV, SklearnGridSearchCV):
    """Exhaustive search over a grid: scikit-learn's GridSearchCV on a faster engine.

    A subclass with the same arguments, attributes and results, bit for bit. The data travel to the
    workers once instead of with every fit, and short fits travel together.

    Parameters
    ----------
    estimator : estimator object
        Implements scikit-learn's estimator interface; it has a `score` method or `scoring` is given.
    param_grid : dict or list of dicts
        Parameter names (as in `set_params`) to lists of values; several dicts are searched one after
        the other.
    scoring : str, callable, list, tuple or dict, default=None
        What to evaluate on the test folds: None is the estimator's own `score`; a name or a callable
        for one metric; a list of names, a dict of names to scorers, or a callable that returns a dict
        for several.
    n_jobs : int, default=None
        Number of jobs to run in parallel, as everywhere in joblib.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate on all data. With several metrics the name of the one that
        decides. A callable gets `cv_results_` and returns the index of the best candidate.
    cv : int, cross-validation generator or iterable, default=None
        How to split: None is 5 folds, stratified for classifiers.
    verbose : int, default=0
        The higher, the more messages; the same as scikit-learn's.
    pre_dispatch : int or str, default='2*n_jobs'
        Accepted for compatibility; two units of work for each worker are under way at most.
    error_score : 'raise' or numeric, default=np.nan
        The score of a fit that raised; 'raise' lets the error through.
    return_train_score : bool, default=False
        Whether `cv_results_` has training scores.

    Attributes
    ----------
    cv_results_ : dict of numpy (masked) ndarrays
        The same keys, types and values as scikit-learn's.
    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_, \
            classes_, n_features_in_, feature_names_in_
        As in scikit-learn.
    history_ : list of dicts
        Every candidate in the order of completion, ready for `pandas.DataFrame`.
    stop_reason_ : str
        "budget", or "interrupted" after Ctrl-C or another exception: then the results of all completed candidates are
        set.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : The class whose contract this keeps.
    BayesSearchCV : Fewer fits for larger spaces.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from sksearch import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> GridSearchCV(SVC(), {"C": [0.1, 1, 10], "kernel": ["rbf", "linear"]}).fit(X, y).best_params_
    {'C': 1, 'kernel': 'linear'}
    """

    def _other_fit(self) -> Callable[..., Any] | None:
        return fit_of(self, SklearnGridSearchCV)

    def _plan(self, problem: Problem) -> Plan:
        candidates = list(ParameterGrid(self.param_grid))
        check_candidate_names(problem.estimator, candidates)
        return Plan(
            scheduler=FullScheduler(FixedSampler(candidates), len(candidates)),
            delivery=Delivery.fixed(),
            entropy=0,
            n_candidates=len(candidates),
            n_fits=len(candidates) * problem.n_splits,
            searched=self.param_grid,
        )
