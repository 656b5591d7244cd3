"""Bayesian optimisation with a Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, Literal

import numpy as np

from sksearch._sklearn import SEARCH_CONSTRAINTS, Interval, StrOptions
from sksearch.estimators.adaptive import AdaptiveSearchCV
from sksearch.estimators.base import Plan, Problem, seed_of
from sksearch.pruning import MedianRule, PairedRule, RuleOf
from sksearch.samplers.bayes import BayesSampler
from sksearch.schedulers.full import FullScheduler
from sksearch.space import Space
from sksearch.trials import History, Outcome


class BayesSearchCV(AdaptiveSearchCV):
    """Bayesian optimisation of hyperparameters, cross-validated.

    A Gaussian process learns from all trials so far which parameters give which score, and the next
    trial is where it expects the largest improvement. Asynchronous: with several workers the next
    trial is decided as soon as a worker is free, with the trials under way taken into account.

    Parameters
    ----------
    estimator : estimator object
        Implements scikit-learn's estimator interface; it has a `score` method or `scoring` is given.
    search_spaces : dict or list of dicts
        Parameter names (as in `set_params`) to dimensions: a list of values, a frozen scipy
        distribution with a `ppf` method, a range `(low, high)` or `(low, high, "log-uniform")`, or a
        :class:`~sksearch.space.Real`, :class:`~sksearch.space.Integer` or
        :class:`~sksearch.space.Categorical`. Several dicts are searched as one conditional space, by
        one model.
    n_iter : int, default=50
        Number of trials. A finite space may be exhausted earlier.
    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn's GridSearchCV. With several metrics the one that `refit` names is
        maximised, otherwise the first.
    n_jobs : int, default=None
        Number of jobs to run in parallel, as everywhere in joblib.
    refit : bool, str or callable, default=True
        As in scikit-learn's GridSearchCV.
    cv : int, cross-validation generator or iterable, default=None
        As in scikit-learn's GridSearchCV. The splits are made once and used for every trial.
    verbose : int, default=0
        The higher, the more messages; the same as scikit-learn's.
    pre_dispatch : int or str, default='2*n_jobs'
        Accepted for compatibility; two units of work for each worker are under way at most.
    error_score : 'raise' or numeric, default=np.nan
        What `cv_results_` shows for a fit that raised. For the model a failed trial counts as worse
        than all others, and it is never the best.
    return_train_score : bool, default=False
        Whether `cv_results_` has training scores.
    random_state : int, RandomState instance or None, default=None
        With an int the result is the same on every run and every backend, for the same number of
        workers; finished trials then wait for earlier ones before the model sees them. With None the
        model sees every trial at once.
    initial_params : list of dicts, default=None
        Parameters to try first. A dict may leave names out; they are drawn at random. The
        estimator's own current parameters come before them, as far as they lie in the space.
    n_initial_points : int or 'auto', default='auto'
        Trials before the model is asked, those of `initial_params` among them: a scrambled Sobol
        sequence. 'auto' takes enough to fit a lengthscale for each parameter and to keep all workers
        busy, and at most a quarter of `n_iter`.
    prune_folds : bool or 'median', default=True
        Whether a trial whose first folds say that it will hardly be the best is spared the others.
        True: it is stopped once its chance to beat the best complete trial, compared on the same
        folds, is below 5 %. 'median': Amazon SageMaker's rule, once its running mean is below the
        median of the other trials'. Nothing is stopped before three trials are complete, the best is
        always complete, and the model learns from stopped trials too. After a failed fold the others
        are not run either. With False every trial is evaluated on all folds.

    Attributes
    ----------
    cv_results_ : dict of numpy (masked) ndarrays
        As scikit-learn's GridSearchCV, one row for each trial in the order they were decided, and
        `status` ("ok", "pruned" or "failed"), `n_splits_done`, `start_time` and `end_time` (seconds
        since the search began), `posterior_mean_test_score` and `posterior_std_test_score` (the
        model's view of the trial after the search). Folds that were not run are nan. The mean score
        of a pruned trial is fold-adjusted: the mean, over the folds it has, of the difference to the
        median of that fold over all complete trials, plus the mean of these medians. Pruned trials
        rank after all complete ones, and failed ones last.
    best_estimator_ : estimator
        Fitted with the best parameters on all data, if `refit`.
    best_score_ : float
        Mean cross-validated score of the best trial.
    best_params_ : dict
        Parameters of the best trial.
    best_index_ : int
        Its row in `cv_results_`.
    history_ : list of dicts
        Every trial in the order of completion, ready for `pandas.DataFrame`.
    stop_reason_ : str
        "budget" after `n_iter` trials, "exhausted" when a finite space has no parameters left,
        "interrupted" after Ctrl-C.
    scorer_, n_splits_, refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in scikit-learn's GridSearchCV.

    See Also
    --------
    HyperbandSearchCV : Gives most trials only a part of the resource.
    RandomizedSearchCV : Independent draws.

    Notes
    -----
    Matern-5/2 kernel with a lengthscale for each parameter; scores transformed by a half-rank warp;
    log expected improvement (Ament et al. 2023), averaged over imagined outcomes of the trials under
    way (Snoek et al. 2012). The details are in :class:`sksearch.samplers.BayesSampler`.

    The folds of a trial are run one after another as far as there is other work for the workers;
    trials begin with different folds. With d the mean difference to the best complete trial over the
    k folds seen of K, the rest is not run if Phi(d / se) < 0.05, where se^2 = 2 s^2 (1/k - 1/K) and
    s^2 is the residual mean square of the table trials x folds.

    References
    ----------
    J. Snoek, H. Larochelle, R. P. Adams (2012): Practical Bayesian optimization of machine learning
    algorithms. NeurIPS 25.

    S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy (2023): Unexpected improvements to
    expected improvement for Bayesian optimization. NeurIPS 36.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from sksearch import BayesSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = BayesSearchCV(SVC(), {"C": (1e-2, 1e3, "log-uniform"), "kernel": ["rbf", "linear"]},
    ...                        n_iter=15, random_state=0).fit(X, y)
    >>> bool(search.best_score_ > 0.97)
    True
    >>> search.stop_reason_
    'budget'
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **SEARCH_CONSTRAINTS,
        "search_spaces": [dict, list],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "initial_params": [list, tuple, None],
        "n_initial_points": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "prune_folds": ["boolean", StrOptions({"median"})],
    }

    def __init__(
        self,
        estimator: Any,
        search_spaces: Any,
        *,
        n_iter: int = 50,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: float | str = np.nan,
        return_train_score: bool = False,
        random_state: Any = None,
        initial_params: Any = None,
        n_initial_points: int | Literal["auto"] = "auto",
        prune_folds: bool | Literal["median"] = True,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.search_spaces = search_spaces
        self.n_iter = n_iter
        self.random_state = random_state
        self.initial_params = initial_params
        self.n_initial_points = n_initial_points
        self.prune_folds = prune_folds

    def _plan(self, problem: Problem) -> Plan:
        space = Space.parse(self.search_spaces, argument="search_spaces", tuple_is_range=True)
        space.check_names(problem.estimator)
        sampler = BayesSampler(
            space,
            n_trials=self.n_iter,
            initial_params=self._start(space, problem.estimator),
            n_initial_points=self.n_initial_points,
            n_workers=problem.n_workers,
        )
        return Plan(
            scheduler=FullScheduler(sampler, self.n_iter),
            delivery=self._delivery(problem),
            entropy=seed_of(self.random_state),
            n_candidates=self.n_iter,
            n_fits=self.n_iter * problem.n_splits,
            searched=self.search_spaces,
            rule_of=self._rule_of(),
        )

    def _rule_of(self) -> RuleOf | None:
        if isinstance(self.prune_folds, str):
            return MedianRule.of
        return PairedRule.of if self.prune_folds else None

    def _more_columns(self, plan: Plan, history: History, outcomes: Sequence[Outcome]) -> dict[str, list[Any]]:
        columns = super()._more_columns(plan, history, outcomes)
        mean, sd = plan.scheduler.sampler.posterior(history)  # type: ignore[attr-defined]  # made in _plan
        rows = [outcome.evaluation.trial.number for outcome in outcomes]
        columns["posterior_mean_test_score"] = list(mean[rows])
        columns["posterior_std_test_score"] = list(sd[rows])
        return columns
