"""Bayesian optimisation with a Gaussian process."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.utils.metadata_routing import UNUSED

from sksearch._sklearn import SEARCH_CONSTRAINTS, Interval, StrOptions
from sksearch.estimators.adaptive import AdaptiveSearchCV
from sksearch.estimators.base import Plan, Problem, seed_of
from sksearch.estimators.scikit_optimize import (
    apply_optimizer_kwargs,
    check_callbacks,
    results_by_dict,
    split_quotas,
    stops,
)
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
    search_spaces : dict or list of dicts or of pairs (dict, int)
        Parameter names (as in `set_params`) to dimensions: a list of values, a frozen scipy
        distribution with a `ppf` method, a range `(low, high)` or `(low, high, "log-uniform")`, or a
        :class:`~sksearch.space.Real`, :class:`~sksearch.space.Integer` or
        :class:`~sksearch.space.Categorical`. Several dicts are searched as one conditional space, by
        one model. In a pair `(dict, n)` n is the number of trials with parameters of this dict; the
        search has as many as all of them together. A dict without a number among pairs has `n_iter`.
        Parameters that belong to several dicts count for the first.
    n_iter : int, default=50
        Number of trials, for all dicts together. A finite space may be exhausted earlier.
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
        Parameters to try first, at most one dict for each trial. A dict may leave names out; they are
        drawn at random. The estimator's own current parameters come before them, as far as they lie in the
        space, where a trial is left for them. Those of a dict of `search_spaces` that has had its number of
        trials are left out.
    n_initial_points : int or 'auto', default='auto'
        Trials before the model is asked, those of `initial_params` among them: a scrambled Sobol
        sequence. 'auto' takes enough to fit a lengthscale for each parameter and to keep all workers
        busy, and at most half of `n_iter`.
    n_points : int or None, default=None
        Accepted for code written for scikit-optimize, without effect. There it is the number of trials
        in a batch; here no trial waits for others, and as many as `n_jobs` allows are under way.
    optimizer_kwargs : dict or None, default=None
        Accepted for code written for scikit-optimize, as far as there is an equal: `n_initial_points`
        (or `n_random_starts`), `random_state`, and what describes this search: `base_estimator="GP"`,
        `acq_func` "gp_hedge" or "EI", `acq_optimizer` "auto", "lbfgs" or "sampling",
        `initial_point_generator` "sobol" or "random", `avoid_duplicates=True`. Anything else raises
        ValueError before any fit and says what to do instead.
    prune_folds : bool or 'median', default=True
        Whether a trial whose first folds say that it will hardly be the best is spared the others.
        True: it is stopped once its chance to beat the best complete trial, compared on the same
        folds, is below 5 % at one look (there is one after each fold, from a fifth of them on).
        'median': Amazon SageMaker's rule, once its running mean is below the median of the other
        trials'. Nothing is stopped before three trials with different scores are complete, the best
        is always complete, and the model learns from stopped trials too. After a failed fold the
        others are not run either. With False every trial is evaluated on all folds.

    Attributes
    ----------
    cv_results_ : dict of numpy (masked) ndarrays
        As scikit-learn's GridSearchCV, one row for each trial in the order they were decided, and
        `status` ("ok", "pruned" or "failed"), `n_splits_done`, `start_time` and `end_time` (seconds
        since the search began), `posterior_mean_test_score` and `posterior_std_test_score` (the
        model's view of the trial after the search). Folds that were not run are nan. The mean score
        of a pruned trial is fold-adjusted: the mean, over the folds it has, of the difference to the
        median of that fold over all complete trials, plus the mean of these medians, and at most just
        below the best complete trial's. Pruned trials rank after all complete ones, and failed ones last.
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
        "callback" when a callback of `fit` asked for it, "interrupted" after Ctrl-C or
        another exception.
    optimizer_results_ : list of scipy.optimize.OptimizeResult
        One for each dict of `search_spaces`, of its trials in the order of completion, in scikit-optimize's
        terms: `x_iters`, `func_vals` (negated scores, inf where failed), `x`, `fun`, `space`.
    total_iterations : int
        Number of trials that `fit` will run, unless a finite space is exhausted or a callback stops it.
    scorer_, n_splits_, refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in scikit-learn's GridSearchCV.

    See Also
    --------
    HyperbandSearchCV : Gives most trials only a part of the resource.
    RandomizedSearchCV : Independent draws.

    Notes
    -----
    Matern-5/2 kernel with a lengthscale for each parameter; scores transformed by a half-rank warp;
    log expected improvement (Ament et al. 2023), averaged over imagined values of the best trials,
    whose scores are noisy, and of those under way (Letham et al. 2019). The details are in
    :class:`sksearch.samplers.BayesSampler`.

    The folds of a trial are run one after another as far as there is other work for the workers;
    trials begin with different folds. With d the mean difference to the best complete trial over the
    k folds seen of K, the rest is not run if Phi(d / se) < 0.05, where se^2 = 2 s^2 (1/k - 1/K) and
    s^2 is the residual mean square of the table trials x folds.

    References
    ----------
    Letham, Karrer, Ottoni, Bakshy (2019): Constrained Bayesian optimization with noisy experiments.
    Bayesian Analysis 14(2).

    Ament, Daulton, Eriksson, Balandat, Bakshy (2023): Unexpected improvements to expected improvement
    for Bayesian optimization. NeurIPS 36.

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
        "n_points": [Interval(Integral, 1, None, closed="left"), None],
        "optimizer_kwargs": [dict, None],
        "prune_folds": ["boolean", StrOptions({"median"})],
    }
    _has_posterior: ClassVar[bool] = True
    # The first is the splitter's to request, the second no metadata at all.
    __metadata_request__fit: ClassVar[dict[str, str]] = {"groups": UNUSED, "callback": UNUSED}

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
        n_points: int | None = None,
        optimizer_kwargs: dict[str, Any] | None = None,
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
        self.n_points = n_points
        self.optimizer_kwargs = optimizer_kwargs
        self.prune_folds = prune_folds

    def fit(self, X: Any, y: Any = None, *, groups: Any = None, callback: Any = None, **params: Any) -> Self:
        """Search, and refit the best candidate on all data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_samples)
            Training data; anything that can be indexed by rows and that the estimator accepts. For a
            precomputed kernel or distance matrix the shape is (n_samples, n_samples).
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target; None for unsupervised learning.
        groups : array-like of shape (n_samples,), default=None
            For the splitter.
        callback : callable or list of callables, default=None
            Each is called after every completed trial, in this process, with an
            `scipy.optimize.OptimizeResult` of all trials so far, as in scikit-optimize: `x`, `fun`,
            `x_iters`, `func_vals` (negated scores, to be minimised), `space`. When one returns a true
            value no further trial starts; the trials under way are completed, for which callbacks are
            called as well, and the best of all is refitted. With an int `random_state` trials are
            reported in the order in which they were started.
        **params : dict of str -> object
            Passed to `fit` of the estimator, to the scorer and to the splitter, as scikit-learn does
            it: without metadata routing `sample_weight` goes to the scorers that accept it, too; with
            routing each goes where it was requested.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        ValueError
            For unusable arguments, before any fit; and when every fit failed.
        KeyboardInterrupt
            After Ctrl-C: the workers are stopped, and the results of all completed trials are set. So they are after
            an exception of a callback, or of a fit with `error_score="raise"`.
        """
        if groups is not None:
            params["groups"] = groups
        return self._fit(X, y, params, check_callbacks(callback))  # type: ignore[no-any-return]  # scikit-learn is untyped

    @property
    def total_iterations(self) -> int:
        """Number of trials that `fit` will run: `n_iter`, or the sum of the numbers in `search_spaces`."""
        quotas = split_quotas(self.search_spaces, self.n_iter)[1]
        return self.n_iter if quotas is None else sum(quotas)

    @property
    def optimizers_(self) -> Any:
        """Nothing: there is no optimizer to ask and to tell."""
        raise AttributeError(
            "BayesSearchCV has no optimizers_; optimizer_results_ has the trials, and cv_results_ what the model "
            "thinks of them (posterior_mean_test_score, posterior_std_test_score)."
        )

    def _plan(self, problem: Problem) -> Plan:
        n_initial_points, random_state = apply_optimizer_kwargs(
            self.optimizer_kwargs, n_initial_points=self.n_initial_points, random_state=self.random_state
        )
        spaces, quotas = split_quotas(self.search_spaces, self.n_iter)
        n_trials = self.n_iter if quotas is None else sum(quotas)
        space = Space.parse(spaces, argument="search_spaces", tuple_is_range=True)
        space.check_names(problem.estimator)
        sampler = BayesSampler(
            space,
            n_trials=n_trials,
            initial_params=self._start(space, problem.estimator, n_trials),
            n_initial_points=n_initial_points,
            n_workers=problem.n_workers,
            quotas=quotas,
        )
        return Plan(
            scheduler=FullScheduler(sampler, n_trials),
            delivery=self._delivery(problem, random_state),
            entropy=seed_of(random_state),
            n_candidates=n_trials,
            n_fits=n_trials * problem.n_splits,
            searched=self.search_spaces,
            rule_of=self._rule_of(),
            stop=stops(problem.callbacks, space) if problem.callbacks else None,
        )

    def _forget_results(self) -> None:
        super()._forget_results()
        self.__dict__.pop("optimizer_results_", None)

    def _results(self, problem: Problem, plan: Plan, history: History) -> dict[str, Any]:
        self.optimizer_results_ = results_by_dict(history, plan.scheduler.sampler.space)  # type: ignore[attr-defined]  # made in _plan
        return super()._results(problem, plan, history)

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
