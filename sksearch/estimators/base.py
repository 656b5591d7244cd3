"""What the four searches share: scikit-learn's contract in, a history, scikit-learn's contract out."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import joblib
import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from sklearn.utils.validation import indexable

from sksearch._sklearn import (
    RETURN,
    BaseSearchCV,
    CallerSettings,
    SearchTasks,
    check_method_params,
    fit_context,
    raise_or_warn_about_failures,
    scorers_by_name,
)
from sksearch.evaluate import Evaluator, Growing, Split, Task
from sksearch.execution import AfterEach, Delivery, Desk, JobPool, Stop, run_search
from sksearch.pruning import RuleOf
from sksearch.results import as_records, blank_unseen, last_outcomes, name_errors, padded_records, scikit_learn_records
from sksearch.schedulers.protocol import Scheduler
from sksearch.selection import OneStandardError, posterior_mean
from sksearch.trials import FailedScore, History, Job, Outcome, Scores


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The arguments of `fit`, checked, and what follows from them alone."""

    estimator: Any
    """Unfitted clone of the searched estimator."""
    X: Any
    y: Any
    scorer: Any
    refit_metric: str
    fit_params: Mapping[str, Any]
    score_params: Mapping[str, Any]
    split_params: Mapping[str, Any]
    cv: Any
    n_splits: int
    n_workers: int
    callbacks: Sequence[Callable[[Any], Any]] = ()
    """To be called after each trial; only BayesSearchCV has them."""

    @cached_property
    def splits(self) -> list[Split]:
        """Training and test rows of each fold, made once: a splitter may give others at its next call."""
        splits = list(self.cv.split(self.X, self.y, **self.split_params))
        if len(splits) != self.n_splits:
            raise ValueError(
                f"cv.split and cv.get_n_splits {RETURN} inconsistent results. "
                f"Expected {self.n_splits} splits, got {len(splits)}"
            )
        return splits


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one class of search does with a problem."""

    scheduler: Scheduler
    delivery: Delivery
    entropy: int
    """Seed of everything that the search itself draws."""
    n_candidates: int
    """Trials it will run, at most."""
    n_fits: int
    """Fits it will run, at most."""
    searched: Any
    """The search space as the user gave it: its values may be estimators with callbacks."""
    growing: Growing | None = None
    rule_of: RuleOf | None = None
    """Says when the remaining folds of a trial are not run; None: never."""
    stop: Stop | None = None
    """Says, after each outcome, why the search is to end; None: it runs to its end."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What the fitted search says of its plan."""
    after_each: AfterEach | None = None
    """Called after an outcome, and after a fold that was not waited for, in the main process: see `Desk`."""

    @property
    def n_fits_known(self) -> bool:
        """Whether it will run `n_fits` fits exactly."""
        return self.growing is None and self.rule_of is None


class SearchCV(BaseSearchCV):
    """A cross-validated search on the asynchronous engine; the searches differ in `_plan`."""

    _has_posterior: ClassVar[bool] = False
    """Whether `cv_results_` says what a model thinks of the trials."""

    @abstractmethod
    def _plan(self, problem: Problem) -> Plan:
        """Check the arguments of this class and say what to run; nothing has been fitted yet."""

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Search, and refit the best candidate on all data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_samples)
            Training data; anything that can be indexed by rows and that the estimator accepts. For a
            precomputed kernel or distance matrix the shape is (n_samples, n_samples).
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target; None for unsupervised learning.
        **params : dict of str -> object
            Passed to `fit` of the estimator, to the scorer and to the splitter, as scikit-learn does
            it: without metadata routing `groups` goes to the splitter and `sample_weight` also to
            the scorers that accept it; with routing each goes where it was requested.

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
            an exception of a fit with `error_score="raise"`.
        """
        other = self._other_fit()
        return self._fit(X, y, params) if other is None else other(self, X, y, **params)  # type: ignore[no-any-return]  # scikit-learn is untyped

    def _other_fit(self) -> Callable[..., Any] | None:
        """A `fit` to be used in place of ours, if any."""
        return None

    @fit_context(prefer_skip_nested_validation=False)
    def _fit(self, X: Any, y: Any, params: Mapping[str, Any], callbacks: Sequence[Callable[[Any], Any]] = ()) -> Self:
        scorer, refit_metric = self._get_scorers()
        X, y = indexable(X, y)
        params = check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        tasks = SearchTasks(self, X, y, params.get("sample_weight"))
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        problem = Problem(
            estimator=clone(self.estimator),
            X=X,
            y=y,
            scorer=scorer,
            refit_metric=refit_metric,
            fit_params=routed.estimator.fit,
            score_params=routed.scorer.score,
            split_params=routed.splitter.split,
            cv=cv,
            n_splits=cv.get_n_splits(X, y, **routed.splitter.split),
            n_workers=joblib.effective_n_jobs(self.n_jobs),
            callbacks=callbacks,
        )
        plan = self._plan(problem)
        history = None
        try:
            with nullcontext() if plan.growing is None else plan.growing.spool:
                self._check_selection(scorer, plan.searched)
                splits = problem.splits
                # All arguments are checked: from here on nothing is left of an earlier fit.
                self._forget_results()
                self._checked_cv_orig, self.n_splits_ = cv, problem.n_splits
                self.__dict__.update(plan.attributes)
                history = History()
                self._search(problem, plan, splits, history, tasks)
                self._conclude(problem, plan, history)
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            if history is not None and (interrupted or not hasattr(self, "history_")):
                with nullcontext() if interrupted else suppress(Exception):  # the first one counts
                    self._keep_interrupted(problem, plan, history)
            raise
        if self.refit:
            self._refit_best(problem, plan, tasks)
        tasks.end()
        return self

    def _check_selection(self, scorer: Any, searched: Any) -> None:
        """Ask our own callables for `refit` whether they can choose in this search."""
        if self.refit is posterior_mean and not self._has_posterior:
            posterior_mean({})
        if isinstance(self.refit, OneStandardError) and (names := _names(searched)):
            one = () if callable(self.scoring) else ("score",)  # a callable may return several
            self.refit.check(names, scorers_by_name(scorer) or one)

    def _search(
        self, problem: Problem, plan: Plan, splits: Sequence[Split], history: History, tasks: SearchTasks
    ) -> None:
        """Run the plan; `history` has what was completed, whatever ends it."""
        if self.verbose > 0:
            at_most = "" if plan.n_fits_known else "at most "
            print(  # noqa: T201 - what `verbose` asks for, in scikit-learn's words
                f"Fitting {problem.n_splits} folds for each of {plan.n_candidates} candidates,"
                f" totalling {at_most}{plan.n_fits} fits"
            )
        tasks.begin_search(plan.n_fits if plan.n_fits_known else None, self.estimator, plan.searched)
        evaluator = self._evaluator(problem, plan, splits, caller=self if tasks.listening else None)
        desk = Desk(
            plan.scheduler,
            history,
            n_folds=problem.n_splits,
            objective=self._objective,
            entropy=plan.entropy,
            delivery=plan.delivery,
            rule_of=plan.rule_of,
            speculate=self.error_score != "raise",
            stop=plan.stop,
            after_each=plan.after_each,
        )
        task_ids = {"next": 0}

        def prepare(job: Job) -> Task:
            context = None
            if tasks.listening:
                context = tasks.fit_context(task_ids["next"], detached=not pool.shares_memory)
                task_ids["next"] += 1
            return evaluator.task(job, context)

        pool = JobPool(CallerSettings(evaluator), n_jobs=self.n_jobs, prepare=prepare, lost=evaluator.failure)
        with pool:
            self.stop_reason_: str = run_search(plan.scheduler, pool, history, desk)
        tasks.end_search()

    def _evaluator(self, problem: Problem, plan: Plan, splits: Sequence[Split], caller: Any) -> Evaluator:
        return Evaluator(
            estimator=problem.estimator,
            X=problem.X,
            y=problem.y,
            splits=splits,
            scorer=problem.scorer,
            fit_params=problem.fit_params,
            score_params=problem.score_params,
            return_train_score=self.return_train_score,
            error_score=self.error_score,
            verbose=self.verbose,
            n_candidates=plan.n_candidates,
            caller=caller,
            growing=plan.growing,
        )

    def _objective(self, scores: Scores) -> float:
        """The number to maximise among the scores of a fold: the refit metric, or the first one."""
        if isinstance(scores, dict):
            self._check_refit_for_multimetric(scores)
            name = self.refit if isinstance(self.refit, str) else next(iter(scores), "")
            score = scores.get(name, np.nan)
        else:
            score = scores
        return np.nan if isinstance(score, FailedScore) else float(score)

    def _conclude(self, problem: Problem, plan: Plan, history: History) -> None:
        """Write the results, choose the best."""
        self.history_ = as_records(history)
        if not history.outcomes:
            raise ValueError("No fits were performed. Was the CV iterator empty? Were there no candidates?")
        try:
            raise_or_warn_about_failures(scikit_learn_records(history.outcomes), self.error_score)
        except ValueError as error:
            most = max(outcome.evaluation.n_resources or 0 for outcome in history.outcomes)
            if plan.growing is None or most >= plan.growing.max_resources:
                raise
            raise ValueError(
                f"{error}\nThey had {most} units of {plan.growing.growth.resource!r} at most, of "
                f"{plan.growing.max_resources}; if that is too little to fit the model at all, raise min_resources."
            ) from error
        results = self._results(problem, plan, history)
        refit_metric = self.refit if callable(self.scoring) and self.multimetric_ else problem.refit_metric
        self.cv_results_ = results  # there already when a callable `refit` raises
        self._set_best(results, refit_metric)

    def _refit_best(self, problem: Problem, plan: Plan, tasks: SearchTasks) -> None:
        """Fit the best candidate on all data; whatever happens, the results of the search are there already."""
        try:
            self.best_estimator_ = clone(problem.estimator).set_params(**clone(self.best_params_, safe=False))
            with tasks.refit(self.best_estimator_):
                start = time.time()
                self._refit(problem, plan)
        except BaseException as error:
            self.__dict__.pop("best_estimator_", None)
            if isinstance(error, KeyboardInterrupt):
                self.stop_reason_ = "interrupted"
            raise
        self.refit_time_ = time.time() - start
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_

    def _results(self, problem: Problem, plan: Plan, history: History) -> dict[str, Any]:
        """`cv_results_`, and whether there are several metrics."""
        outcomes = last_outcomes(history, resumes=plan.growing is not None and plan.growing.growth.resumes)
        records = padded_records(outcomes, problem.n_splits)
        if callable(self.scoring):
            name_errors(records, self.error_score, scikit_learn_records(history.outcomes))
        results = self._format_results(
            [outcome.evaluation.trial.params for outcome in outcomes],
            problem.n_splits,
            records,
        )
        blank_unseen(results, outcomes, problem.n_splits, history.outcomes)
        self.scorer_ = scorers_by_name(problem.scorer) or problem.scorer
        self.multimetric_ = isinstance(records[0]["test_scores"], dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(records[0]["test_scores"])
        self._rank(results, outcomes)
        for name, column in self._more_columns(plan, history, outcomes).items():
            results[name] = np.asarray(column)
        return results  # type: ignore[no-any-return]  # scikit-learn is untyped

    def _more_columns(
        self,
        plan: Plan,  # noqa: ARG002 - a hook
        history: History,  # noqa: ARG002
        outcomes: Sequence[Outcome],  # noqa: ARG002
    ) -> dict[str, list[Any]]:
        """Columns of `cv_results_` beyond scikit-learn's."""
        return {}

    def _rank(self, results: dict[str, Any], outcomes: Sequence[Outcome]) -> None:
        """Change the ranks, where they are not scikit-learn's."""

    def _set_best(self, results: dict[str, Any], refit_metric: str) -> None:
        """Choose the best candidate, by rank or by the user's callable."""
        if not self.refit and self.multimetric_:
            return
        self.best_index_ = self._select_best_index(self.refit, refit_metric, results)
        if not callable(self.refit):
            self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _forget_results(self) -> None:
        """Drop what an earlier fit found: should this one fail, nothing is left that it did not find."""
        self._forget_best()
        for name in ("cv_results_", "history_", "stop_reason_", "scorer_", "refit_time_", "feature_names_in_"):
            self.__dict__.pop(name, None)

    def _forget_best(self) -> None:
        """Drop what was chosen."""
        for name in ("best_estimator_", "best_index_", "best_params_", "best_score_"):
            self.__dict__.pop(name, None)

    def _refit(self, problem: Problem, plan: Plan) -> None:  # noqa: ARG002 - a hook
        """Fit `best_estimator_`, which has the best parameters set, on all data."""
        if problem.y is not None:
            self.best_estimator_.fit(problem.X, problem.y, **problem.fit_params)
        else:
            self.best_estimator_.fit(problem.X, **problem.fit_params)

    def _keep_interrupted(self, problem: Problem, plan: Plan, history: History) -> None:
        """After Ctrl-C, or another exception: set the results of all completed trials; there is no refit."""
        self.stop_reason_ = "interrupted"
        self.history_ = as_records(history)
        if history.outcomes:
            results = self._results(problem, plan, history)
            refit_metric = self.refit if callable(self.scoring) and self.multimetric_ else problem.refit_metric
            self.cv_results_ = results
            with suppress(Exception):  # a callable `refit` may find nothing to choose among so few
                self._set_best(results, refit_metric)

    def __sklearn_is_fitted__(self) -> bool:
        """Fitted, unless the last search or its refit was cut short: then predict asks for a new fit."""
        done = hasattr(self, "cv_results_") and getattr(self, "stop_reason_", None) != "interrupted"
        return done and (not self.refit or hasattr(self, "best_estimator_"))


def _names(searched: Any) -> set[str]:
    """The parameters in a search space as the user gave it: a dict, or a list of them, perhaps with numbers."""
    if isinstance(searched, Mapping):
        return set(searched)
    return set().union(*map(_names, searched)) if isinstance(searched, (list, tuple)) else set()


def check_candidate_names(estimator: Any, candidates: Iterable[Mapping[str, Any]]) -> None:
    """Set one candidate of each set of names on a clone, so that a misspelt name raises before any fit."""
    one_of_each: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for params in candidates:
        one_of_each.setdefault(tuple(params), params)
    for params in one_of_each.values():
        clone(estimator).set_params(**clone(params, safe=False))


def seed_of(random_state: Any) -> int:
    """One integer that seeds a whole search.

    None takes it from NumPy's global generator, as scikit-learn's estimators do.
    """
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    words = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=4)
    return int.from_bytes(words.astype(np.uint32).tobytes(), "little")
