"""Hyperband: most trials get a part of the resource, the promising ones get more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from sksearch._sklearn import SEARCH_CONSTRAINTS, HasMethods, Interval, StrOptions
from sksearch.estimators.adaptive import AdaptiveSearchCV
from sksearch.estimators.base import Plan, Problem, seed_of
from sksearch.evaluate import Growing
from sksearch.pruning import SpareUnpromoted
from sksearch.resources import Fold, Resolved, grows_classifier, resolve_resource
from sksearch.samplers.bayes import BayesSampler
from sksearch.samplers.protocol import Sampler
from sksearch.samplers.random import RandomSampler
from sksearch.schedulers.brackets import Bracket, asynchronous_brackets, plan, synchronous_brackets
from sksearch.schedulers.hyperband import AshaScheduler, HyperbandScheduler
from sksearch.space import Space
from sksearch.spool import Spool
from sksearch.trials import Evaluation, History, Outcome, Params


class HyperbandSearchCV(AdaptiveSearchCV):
    """Hyperband over cross-validated, growing models.

    Trials start with a small amount of a resource (passes over the data, trees, rows, ...); the best
    of each rung are promoted to the next one, with `factor` times as much. A promoted trial goes on
    where it paused: only the difference is trained. New trials come from a Gaussian process that
    learns from all rungs.

    Parameters
    ----------
    estimator : estimator object
        Implements scikit-learn's estimator interface; it has a `score` method or `scoring` is given.
        In a Pipeline the last step grows, and the steps before it are fitted once for each fold.
    param_distributions : dict or list of dicts
        Parameter names (as in `set_params`) to dimensions: a list of values, a scipy distribution,
        or a :class:`~sksearch.space.Real`, :class:`~sksearch.space.Integer` or
        :class:`~sksearch.space.Categorical`. Several dicts are searched as one conditional space.
    resource : str, default='auto'
        What grows: "partial_fit" (one unit is a pass over the training fold, an epoch of a skorch
        net), "n_samples" (training rows), or the name of an integer parameter, which is grown by
        `warm_start` or, in LightGBM, XGBoost and CatBoost, by going on from the fitted model where
        the estimator can, and refitted otherwise. "auto" takes the first of partial_fit, a parameter
        that warm starts grow (`n_estimators`, `max_iter`), the rounds of a booster, "n_samples" that
        the estimator has and the search leaves free; of what only counts (naive Bayes, scalers,
        IncrementalPCA) "n_samples", as passes would count the same rows again.
    min_resources : int or 'auto', default='auto'
        Resource of the lowest rung. "auto": `max_resources` divided by the largest power of `factor`
        up to 81, for "n_samples" at least two rows for each split and class; where a parameter grows up
        to 9, because every rung is a call of `fit` with costs of its own.
    max_resources : int or 'auto', default='auto'
        Resource of the highest rung, and of the refit. "auto": the estimator's own value of the
        parameter, 81 passes of partial_fit, or all training rows.
    factor : float, default=3
        At least 1.1. How much more resource the next rung has; about one in `factor` trials is promoted.
    schedule : {'async', 'hyperband'}, default='async'
        "async" promotes a trial as soon as it is among the best of its rung so far (ASHA), so that no
        worker waits for a rung to fill; the first trials go to the top whatever their scores are,
        and where early scores turn out not to predict late ones new trials start with more resource
        (see Notes). "hyperband" runs the published synchronous brackets, from `min_resources` up (the
        published tables have 1); a bracket's new trials are chosen by scores of at least its lowest amount.
    brackets : int or 'auto', default='auto'
        Number of brackets, the most aggressive first: "auto" is one for "async", all for "hyperband".
    n_candidates : int or 'auto', default='auto'
        Number of trials. "auto": as many as the published brackets start, with "async" at least ten.
        `plan()` shows the cost. If a space of lists holds fewer, what is planned goes to those there are.
    sampler : {'bayes', 'random'} or Sampler, default='bayes'
        Where new trials come from. A Sampler object decides by itself which parameters come first.
    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn's GridSearchCV. With several metrics the one that `refit` names decides
        promotions, otherwise the first.
    n_jobs : int, default=None
        Number of jobs to run in parallel, as everywhere in joblib.
    refit : bool, str or callable, default=True
        As in scikit-learn's GridSearchCV; the refit has `max_resources` and trains as the top rung
        did. With "n_samples" it has all rows, as in scikit-learn's HalvingRandomSearchCV.
    cv : int, cross-validation generator or iterable, default=None
        As in scikit-learn's GridSearchCV; trials are promoted by their mean over all folds.
    verbose : int, default=0
        The higher, the more messages.
    pre_dispatch : int or str, default='2*n_jobs'
        Accepted for compatibility; two units of work for each worker are under way at most.
    error_score : 'raise' or numeric, default=np.nan
        What `cv_results_` shows for a fit that raised; such a trial is never promoted nor the best.
    return_train_score : bool, default=False
        Whether `cv_results_` has training scores.
    random_state : int, RandomState instance or None, default=None
        With an int the result is the same on every run and every backend, for the same number of
        workers; workers may then wait for a slow fit that was asked for earlier, many of them for most of
        the time. With None every outcome counts at once.
    initial_params : list of dicts, default=None
        Parameters to try first, at most one dict for each candidate. A dict may leave names out; they
        are drawn at random. The estimator's own current parameters come before them, as far as they lie
        in the space, where a candidate is left for them.
    prune_folds : bool or 'median', default=True
        Whether a trial whose first folds say that it will hardly be promoted from its rung, or at the
        top hardly be the best, is spared the others. True: it is stopped once its chance to beat,
        on the same folds, the last trial of the share that may be promoted is below 5 % at one look
        (there is one after each fold, from a fifth of them on). 'median': Amazon SageMaker's rule, once its
        running mean is below the median of the rung. Only trials with all folds are promoted or chosen; the
        model learns from the others, too. With False every evaluation has all folds.

    Attributes
    ----------
    cv_results_ : dict of numpy (masked) ndarrays
        As scikit-learn's GridSearchCV, one row for each trial at its highest resource, and `status`
        ("ok", "failed", "pruned", or "paused" below the top rung), `n_splits_done`, `start_time` and `end_time`
        of that evaluation (seconds since the search began), `n_resources`, `iter` (the rung) and `bracket`.
        The mean score of a pruned trial is fold-adjusted, as BayesSearchCV's. Ranks put more resource before less,
        pruned trials after all others and failed ones last.
    best_estimator_ : estimator
        Fitted with the best parameters on all data, if `refit`; with `max_resources` of anything but rows.
    best_score_ : float
        Mean cross-validated score of the best trial among those with the highest resource, or at the
        top of their bracket: with amounts that are no powers of `factor` some brackets end a little lower.
    best_params_ : dict
        Its parameters.
    best_index_ : int
        Its row in `cv_results_`.
    history_ : list of dicts
        Every evaluation at every resource in the order of completion, ready for `pandas.DataFrame`:
        `trial` (its row in `cv_results_`), `n_resources`, `rung`, `bracket`, `status`, `score`,
        `n_splits_done`, `fit_time` and `score_time` (summed over the folds), `start_time` (when its first
        fold was sent to a worker), `end_time`, and the parameters as `param_...`.
    brackets_ : list of dicts
        What `plan` shows: one row a rung.
    n_resources_ : list of int
        Resource levels, increasing.
    min_resources_, max_resources_ : int
        The smallest amount of resource, and the largest, with which the refit trains (with "n_samples" on all
        rows). Published brackets may end a little below it (`n_resources_`) where it is not the smallest times
        a power of `factor`.
    resource_ : str
        What grew.
    stop_reason_ : str
        "budget", "exhausted" when a finite space has no parameters left and nothing else is to be done,
        "interrupted" after Ctrl-C or another exception.
    scorer_, n_splits_, refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in scikit-learn's GridSearchCV.

    See Also
    --------
    BayesSearchCV : Every trial gets the full resource.

    Notes
    -----
    Brackets and rungs are those of Li et al. (2018), Algorithm 1; asynchronous promotion is that of
    Li et al. (2020), Algorithm 2, made safe against misleading early scores: of the places at the
    top one in `factor` belongs to the first trials, and rungs are skipped up to the highest one whose
    scores have a correlation below 0.5 (shrunk towards 0.7) with those of the highest rung that four of
    its trials have reached. The units of resource spent are never more than `plan` says, which tells
    how they count. The model is trained on the last score of every trial, whatever its rung, as in
    Salinas et al. (2023), but for scores in rungs that are skipped; in the published brackets, but for
    amounts below the bracket's lowest.

    References
    ----------
    Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar (2018): Hyperband: a novel bandit-based approach to
    hyperparameter optimization. JMLR 18(185).

    Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht, Talwalkar (2020): A system for massively
    parallel hyperparameter tuning. MLSys 2.

    Salinas, Golebiowski, Klein, Seeger, Archambeau (2023): Optimizing hyperparameters with conformal
    quantile regression. ICML.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import SGDClassifier
    >>> from sksearch import HyperbandSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = HyperbandSearchCV(SGDClassifier(random_state=0), {"alpha": loguniform(1e-5, 1e-1)},
    ...                            max_resources=9, random_state=0)
    >>> [(row["n_trials"], row["n_resources"]) for row in search.plan()]
    [(17, 1), (10, 3), (7, 9)]
    >>> search.fit(X, y).resource_
    'partial_fit'
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **SEARCH_CONSTRAINTS,
        "param_distributions": [dict, list],
        "resource": [str],
        "min_resources": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "max_resources": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "factor": [Interval(Real, 1.1, None, closed="left")],  # rungs nearer than that are thousands of one unit each
        "schedule": [StrOptions({"async", "hyperband"})],
        "brackets": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_candidates": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "sampler": [StrOptions({"bayes", "random"}), HasMethods("suggest")],
        "random_state": ["random_state"],
        "initial_params": [list, tuple, None],
        "prune_folds": ["boolean", StrOptions({"median"})],
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        resource: str = "auto",
        min_resources: int | str = "auto",
        max_resources: int | str = "auto",
        factor: float = 3,
        schedule: str = "async",
        brackets: int | str = "auto",
        n_candidates: int | str = "auto",
        sampler: Any = "bayes",
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
        self.param_distributions = param_distributions
        self.resource = resource
        self.min_resources = min_resources
        self.max_resources = max_resources
        self.factor = factor
        self.schedule = schedule
        self.brackets = brackets
        self.n_candidates = n_candidates
        self.sampler = sampler
        self.random_state = random_state
        self.initial_params = initial_params
        self.prune_folds = prune_folds

    def plan(self, X: Any = None, y: Any = None, groups: Any = None) -> list[dict[str, int]]:
        """What `fit` will run, without fitting anything: one row for each rung.

        Parameters
        ----------
        X, y : array-like, default=None
            The data; needed only where `resource` is "n_samples", or "auto" and y has several targets. A classifier's
            X comes with its y.
        groups : array-like of shape (n_samples,), default=None
            For splitters that keep groups together.

        Returns
        -------
        list of dicts
            With `bracket`, `rung`, `n_trials` and `n_resources`, ready for `pandas.DataFrame`. With
            `schedule="async"` the trials of a rung are the most it may get; where early rungs mislead, or
            there are fewer candidates, a later one may get more. Units of resource in all are never more than
            the plan's: trials times what a rung has more than the one below; where promoted models are fitted
            anew (`"n_samples"`, models that cannot be continued, and with a warning those that cannot be
            pickled) trials times `n_resources`.

        Raises
        ------
        ValueError
            As `fit` raises before its first fit.

        Examples
        --------
        >>> from sklearn.ensemble import RandomForestClassifier
        >>> from sksearch import HyperbandSearchCV
        >>> search = HyperbandSearchCV(RandomForestClassifier(n_estimators=9), {"max_depth": [2, 4, 8, None]},
        ...                            schedule="hyperband")
        >>> search.plan()[0]
        {'bracket': 0, 'rung': 0, 'n_trials': 9, 'n_resources': 1}
        """
        self._validate_params()
        scorer, _ = self._get_scorers()
        self._check_selection(scorer, self.param_distributions)
        if hasattr(self.cv, "__next__"):
            raise ValueError(f"cv={self.cv!r} can be used only once and fit needs it; use a list: cv=list(...).")
        space = Space.parse(self.param_distributions, argument="param_distributions")
        space.check_names(self.estimator)
        splits: list[Any] = []
        if X is not None:
            drawing = deepcopy(self.cv) if hasattr(self.cv, "split") else self.cv  # fit is to draw the same
            cv = check_cv(drawing, y, classifier=is_classifier(self.estimator))
            splits = list(cv.split(X, y, groups))
        classifies = grows_classifier(self.estimator, space.categories())
        classes = _classes(y) if classifies else None
        if y is None and classifies:
            classes = [0, 1]  # at least
        brackets = self._brackets(self._resolve(space, splits, y, classes))
        self._sampler(space, self.estimator, brackets, n_workers=1)
        return _table(brackets)

    def _plan(self, problem: Problem) -> Plan:
        space = Space.parse(self.param_distributions, argument="param_distributions")
        space.check_names(problem.estimator)
        classifies = grows_classifier(problem.estimator, space.categories())
        classes = _classes(problem.y) if classifies else None
        resolved = self._resolve(space, problem.splits, problem.y, classes, problem.fit_params)
        if resolved.growth.resource == "partial_fit" and classifies:
            check_classification_targets(problem.y)
        brackets = self._brackets(resolved)
        sampler = self._sampler(space, problem.estimator, brackets, problem.n_workers)
        scarce = isinstance(self.sampler, str) and space.size < _n_candidates(brackets)
        scheduler = (AshaScheduler if self.schedule == "async" else HyperbandScheduler)(
            sampler, brackets, scarce=scarce
        )
        entropy = seed_of(self.random_state)
        delivery = self._delivery(problem, self.random_state)
        spool = Spool()  # closed by the one who gets the plan
        return Plan(
            scheduler=scheduler,
            delivery=delivery,
            entropy=entropy,
            n_candidates=_n_candidates(brackets),
            n_fits=plan(brackets).n_evaluations * problem.n_splits,
            searched=self.param_distributions,
            rule_of=SpareUnpromoted(scheduler, by_median=self.prune_folds == "median") if self.prune_folds else None,
            attributes=_attributes(resolved, brackets),
            after_each=_DropFinished(scheduler, spool, problem.n_splits) if resolved.growth.resumes else None,
            growing=Growing(
                growth=resolved.growth,
                max_resources=resolved.max_resources,
                spool=spool,
                groups=problem.split_params.get("groups"),
                classes=classes,
                entropy=entropy,
            ),
        )

    def _resolve(
        self, space: Space, splits: Sequence[Any], y: Any, classes: Any, fit_params: Collection[str] = ()
    ) -> Resolved:
        """What grows, between which amounts."""
        if classes is not None:
            classes = tuple(map(len, classes)) if isinstance(classes, tuple) else len(classes)
        return resolve_resource(
            self.estimator,
            self.resource,
            min_resources=self.min_resources,  # type: ignore[arg-type]  # "auto" or an int, checked
            max_resources=self.max_resources,  # type: ignore[arg-type]  # as above
            factor=self.factor,
            n_rows=max((_n_rows(train) for train, _ in splits), default=None),
            n_splits=max(1, len(splits)),
            n_classes=classes,
            y=y,
            fit_params=fit_params,
            branches=space.categories(),
        )

    def _brackets(self, resolved: Resolved) -> tuple[Bracket, ...]:
        make = asynchronous_brackets if self.schedule == "async" else synchronous_brackets
        return make(
            resolved.min_resources,
            resolved.max_resources,
            self.factor,
            n_brackets=None if isinstance(self.brackets, str) else int(self.brackets),
            n_candidates=None if isinstance(self.n_candidates, str) else int(self.n_candidates),
        )

    def _start(self, space: Space, estimator: Any, n_trials: int) -> list[Params]:
        if isinstance(self.sampler, type):
            raise TypeError(f"sampler={self.sampler!r} is a class; give an object of it, or 'bayes' or 'random'.")
        if self.initial_params and not isinstance(self.sampler, str):
            raise ValueError(
                f"initial_params={self.initial_params!r} has no effect with sampler={self.sampler!r}; give them to the "
                "sampler, or use sampler='bayes' or 'random'."
            )
        return super()._start(space, estimator, n_trials)

    def _sampler(self, space: Space, estimator: Any, brackets: Sequence[Bracket], n_workers: int) -> Sampler:
        n_candidates = _n_candidates(brackets)
        start = self._start(space, estimator, n_candidates)
        if not isinstance(self.sampler, str):
            sampler: Sampler = self.sampler
            return sampler
        if self.sampler == "random":
            return RandomSampler(space, start)
        return BayesSampler(space, n_trials=n_candidates, initial_params=start, n_workers=n_workers)

    def _more_columns(self, plan: Plan, history: History, outcomes: Sequence[Outcome]) -> dict[str, list[Any]]:
        columns = super()._more_columns(plan, history, outcomes)
        evaluations = [outcome.evaluation for outcome in outcomes]
        columns["status"] = [
            "paused" if outcome.status == "ok" and self._reached(outcome) < self.max_resources_ else outcome.status
            for outcome in outcomes
        ]
        columns["n_resources"] = [evaluation.n_resources for evaluation in evaluations]
        columns["iter"] = [evaluation.rung for evaluation in evaluations]
        columns["bracket"] = [evaluation.bracket for evaluation in evaluations]
        return columns

    def _set_best(self, results: dict[str, Any], refit_metric: str) -> None:
        """None of candidates that all have failed since they were promoted."""
        promoted = any(row["status"] == "ok" for row in self.history_)
        if promoted and not callable(self.refit) and all(status == "failed" for status in results["status"]):
            if not self.refit:
                return
            raise ValueError(
                f"All {len(results['status'])} candidates failed, the promoted ones with more resource, so none is "
                "best; cv_results_ and history_ have the scores there are. Lower max_resources, or change the search "
                "space as the warnings suggest."
            )
        super()._set_best(results, refit_metric)

    def _reached(self, outcome: Outcome) -> int:
        """The resource, and `max_resources_` at the top of every bracket.

        With amounts that are no powers of `factor` the published brackets end a little below it, and their
        winners are to be compared all the same.
        """
        evaluation = outcome.evaluation
        top = max(row["n_resources"] for row in self.brackets_ if row["bracket"] == evaluation.bracket)
        reached = evaluation.n_resources or 0
        return int(self.max_resources_) if reached >= top else reached

    def _refit(self, problem: Problem, plan: Plan) -> None:
        growing = plan.growing
        if growing is None:
            raise ValueError("a growing search needs a resource to refit with.")
        seed = (growing.entropy, problem.n_splits)
        everything = Fold(problem.X, problem.y, problem.fit_params, seed, growing.classes)
        # as a trial at the top was fitted: the same code, in one go
        self.best_estimator_ = growing.growth.fit(
            self.best_estimator_, everything, n_resources=growing.max_resources, trained=0
        )


@dataclass(slots=True)
class _DropFinished:
    """After each outcome, and each fold that comes late: drop the paused models of trials that will not go on.

    Not before all folds are back: one that waits at a worker would find no model, and train all of it.
    """

    scheduler: AshaScheduler | HyperbandScheduler
    spool: Spool
    n_folds: int
    _kept: set[int] = field(default_factory=set)
    """Trials that models are kept of."""

    def __call__(self, history: History, evaluation: Evaluation, at_workers: set[int]) -> None:
        needed = self.scheduler.unfinished(history) | at_workers
        for number in (self._kept | {evaluation.trial.number}) - needed:
            for fold in range(self.n_folds):
                self.spool.discard(number, fold)
        self._kept = needed


def _classes(y: Any) -> Any:
    """All labels of a classification: an array, or a tuple of one array for each of several targets; else None."""
    if y is None:
        return None
    kind = type_of_target(y)
    if kind in ("binary", "multiclass"):
        return np.unique(np.asarray(y))
    if hasattr(y, "tocsr"):  # a multilabel indicator
        return (np.array([0, 1]),) * int(y.shape[1])
    several = kind in ("multilabel-indicator", "multiclass-multioutput")
    return tuple(map(np.unique, np.asarray(y).T)) if several else None


def _attributes(resolved: Resolved, brackets: Sequence[Bracket]) -> dict[str, Any]:
    table = _table(brackets)
    return {
        "resource_": resolved.growth.resource,
        "min_resources_": resolved.min_resources,
        "max_resources_": resolved.max_resources,
        "brackets_": table,
        "n_resources_": sorted({row["n_resources"] for row in table}),
    }


def _n_candidates(brackets: Sequence[Bracket]) -> int:
    return sum(bracket.rungs[0].n_trials for bracket in brackets)


def _n_rows(part: Any) -> int:
    """Rows in one part of a split, which may be a mask."""
    rows = np.asarray(part)
    return int(rows.sum()) if rows.dtype == bool else len(rows)


def _table(brackets: Sequence[Bracket]) -> list[dict[str, int]]:
    return [row._asdict() for row in plan(brackets).rows]
