"""Which trial is the best one: callables for `refit=` of every search, and of scikit-learn's.

scikit-learn's contract: such a callable is given `cv_results_` and returns a row; the search then has
`best_index_`, `best_params_` and `best_estimator_`, and no `best_score_`. A row is *eligible* if its
trial was evaluated as far as any: a finite mean score, `status` "ok" where there is such a column (if no
trial reached the top of a search with growing resources: "paused"), elsewhere the largest `n_resources`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["OneStandardError", "one_standard_error", "posterior_mean"]

Results: TypeAlias = Mapping[str, Any]
"""`cv_results_` of a search."""


def posterior_mean(results: Results) -> int:
    """The completely evaluated trial of which the model of a Bayesian search thinks most.

    The mean score of a trial is partly luck; the surrogate's mean (`posterior_mean_test_score`)
    shrinks it towards those of its neighbours. In a search with several metrics and a callable
    `refit` the model is one of the first metric.

    Parameters
    ----------
    results : dict
        `cv_results_` of a :class:`~sksearch.BayesSearchCV`.

    Returns
    -------
    int
        Row of the trial; the first of several equal ones.

    Raises
    ------
    ValueError
        If the results have no such column, as those of other searches, or no trial was completely evaluated.

    Examples
    --------
    >>> posterior_mean({"status": ["ok", "ok", "failed"], "posterior_mean_test_score": [0.8, 0.9, 0.95]})
    1
    """
    column = "posterior_mean_test_score"
    if column not in results:
        raise ValueError(
            f"posterior_mean needs the column {column!r} of cv_results_, which only BayesSearchCV has; "
            "use BayesSearchCV, or refit=True or refit=one_standard_error with this search."
        )
    return _first_largest(np.asarray(results[column], dtype=np.float64), _eligible(results, column))


@dataclass(frozen=True)
class OneStandardError:
    """The simplest trial whose mean score is within one standard error of the best one's.

    Use the ready-made :data:`one_standard_error`, plain or with a setting::

        GridSearchCV(..., refit=one_standard_error)
        GridSearchCV(..., refit=one_standard_error(complexity="pca__n_components"))

    Parameters
    ----------
    complexity : str, callable or None, default=None
        What makes a trial simple. The name of a parameter: smaller values are simpler; with
        a minus in front (`"-clf__alpha"`) larger ones. None as a value (`max_depth=None`: no limit) is
        less simple than any number. A callable: its value for the dict of parameters,
        smaller is simpler. None: the mean time of a fit, which depends on the machine and its load.
    metric : str or None, default=None
        Which score counts, needed where the search has several metrics.

    Notes
    -----
    The rule of Breiman et al. (1984, Section 3.4.3): with the best mean score m, the standard
    deviation s of its K fold scores and the standard error s / sqrt(K), every trial with a mean of
    at least m - s / sqrt(K) is as good; the simplest of them is taken. Of equally simple ones the
    one with the higher mean, then the first. Only completely evaluated trials count: not failed
    or pruned ones, and none that was paused below the largest resource.

    The standard error is that of one mean. Trials of one search share their folds, so their
    *differences* are often less noisy, and the rule then errs on the side of simplicity.

    References
    ----------
    Breiman, Friedman, Olshen, Stone (1984): Classification and regression trees. Wadsworth.

    Examples
    --------
    >>> results = {
    ...     "params": [{"n": 1}, {"n": 5}, {"n": 9}],
    ...     "mean_test_score": [0.80, 0.89, 0.90],
    ...     "std_test_score": [0.05, 0.05, 0.04],
    ...     "mean_fit_time": [1.0, 2.0, 3.0],
    ...     **{f"split{k}_test_score": [0.8, 0.9, 0.9] for k in range(4)},
    ... }
    >>> one_standard_error(results)
    1
    >>> one_standard_error(complexity="-n")(results)
    2
    """

    complexity: str | Callable[[dict[str, Any]], Any] | None = None
    metric: str | None = None

    def __post_init__(self) -> None:
        if not (self.complexity is None or isinstance(self.complexity, str) or callable(self.complexity)):
            raise TypeError(
                f"complexity must be the name of a parameter, a callable or None, got {self.complexity!r}; "
                "write complexity='clf__C', or complexity=f for a function f of the parameters."
            )

    @overload
    def __call__(self, results: Results) -> int: ...

    @overload
    def __call__(self, *, complexity: Any = ..., metric: str | None = ...) -> OneStandardError: ...

    def __call__(self, results: Results | None = None, **settings: Any) -> int | OneStandardError:
        """Choose a row of `cv_results_`; with keywords alone: the same rule with these settings.

        Parameters
        ----------
        results : dict
            `cv_results_` of any search.
        **settings
            `complexity` and `metric`; those left out stay as they are.

        Returns
        -------
        int or OneStandardError

        Raises
        ------
        ValueError
            If it is not clear which metric is meant, if a trial lacks the parameter that `complexity` names
            or has no number there, or if no trial was completely evaluated.
        """
        if results is None:
            return replace(self, **settings)
        if not hasattr(results, "keys"):
            raise TypeError(
                f"results must be cv_results_, got {results!r}; settings are keywords: "
                "write one_standard_error(complexity=...)."
            )
        if settings:
            raise TypeError(
                f"settings come before the results, got both; write one_standard_error({', '.join(settings)}=...) "
                "first and call what it returns with the results."
            )
        metric = self._metric(results)
        mean = np.asarray(results[f"mean_test_{metric}"], dtype=np.float64)
        eligible = _eligible(results, f"mean_test_{metric}")
        best = _first_largest(mean, eligible)
        n_splits = sum(bool(re.fullmatch(rf"split\d+_test_{re.escape(metric)}", key)) for key in results)
        error = float(results[f"std_test_{metric}"][best]) / math.sqrt(n_splits)
        as_good = [int(row) for row in np.flatnonzero(eligible) if mean[row] >= mean[best] - error]
        complexity = {row: self._complexity_of(results, row) for row in as_good}
        return min(as_good, key=lambda row: (complexity[row], -mean[row]))

    def check(self, names: Collection[str], metrics: Collection[str] = ()) -> None:
        """Refuse settings that no trial of a search can meet, before it starts.

        Parameters
        ----------
        names : collection of str
            The searched parameters.
        metrics : collection of str, default=()
            Those of the search, as far as they are known.

        Raises
        ------
        ValueError
            If `complexity` is none of the names, or it is not clear which metric is meant.
        """
        if isinstance(self.complexity, str) and self.complexity.removeprefix("-") not in names:
            raise ValueError(
                f"complexity={self.complexity!r} is none of the searched parameters, {sorted(names)}; name one of "
                "them, or give a function of the parameters: complexity=f."
            )
        if metrics:
            self._metric({f"mean_test_{name}": None for name in metrics})

    def _metric(self, results: Results) -> str:
        metrics = [key.removeprefix("mean_test_") for key in results if key.startswith("mean_test_")]
        if self.metric is None and len(metrics) == 1:
            return metrics[0]
        if self.metric is None:
            raise ValueError(
                f"the search has several metrics, {metrics}; name one: "
                f"refit=one_standard_error(metric={next(iter(metrics), 'score')!r})."
            )
        if self.metric not in metrics:
            hint = "; leave it out, there is but one" if len(metrics) == 1 else ""
            raise ValueError(f"metric must be one of {metrics}, got {self.metric!r}{hint}.")
        return self.metric

    def _complexity_of(self, results: Results, row: int) -> Any:
        """Smaller is simpler."""
        if self.complexity is None:
            return float(results["mean_fit_time"][row])
        params = results["params"][row]
        if callable(self.complexity):
            return self.complexity(params)
        name = self.complexity.removeprefix("-")
        if name not in params:
            raise ValueError(
                f"complexity={self.complexity!r} is no parameter of trial {row}, {params}; name one that all "
                "trials have, or give a function of the parameters: complexity=f."
            )
        value = params[name]
        if value is None:
            return math.inf
        if not isinstance(value, Real):
            raise ValueError(  # noqa: TRY004  (the value is at fault, not the type of an argument)
                f"complexity={self.complexity!r} is {value!r} in trial {row}, not a number; "
                "give a function of the parameters: complexity=f."
            )
        return -value if self.complexity.startswith("-") else value


one_standard_error = OneStandardError()
"""The rule without settings: simplicity is the mean time of a fit."""


def _eligible(results: Results, column: str) -> NDArray[np.bool_]:
    """Rows that were evaluated as far as any, with a finite value in `column`."""
    usable: NDArray[np.bool_] = np.isfinite(np.asarray(results[column], dtype=np.float64))
    if "status" in results:
        status = np.asarray(results["status"])
        finished: NDArray[np.bool_] = usable & (status == "ok")
        if finished.any():  # the tops of several brackets may differ by a little, and are compared all the same
            return finished
        usable &= status == "paused"
    if not usable.any():
        raise ValueError(f"no trial was completely evaluated with a finite {column!r}; see error_score and history_.")
    if "n_resources" in results:
        amounts = np.asarray(results["n_resources"], dtype=np.float64)
        usable &= amounts == amounts[usable].max()
    return usable


def _first_largest(values: NDArray[np.float64], eligible: NDArray[np.bool_]) -> int:
    return int(np.argmax(np.where(eligible, values, -np.inf)))
