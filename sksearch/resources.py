"""What can grow, and how: the resources that Hyperband hands out.

A *growth* trains an estimator to an amount of one resource: `PartialFit` (passes over the data),
`WarmStart` (trees, boosting rounds, solver iterations), `Samples` (training rows) and `Refit` (any
other integer parameter). The first two go on from a paused model; a model grown 1 -> 3 -> 9 equals
one grown to 9 at once bit for bit wherever the estimator itself allows that.

In a Pipeline the last step grows; the steps before it are fitted once (see `laststep`).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils import shuffle
from sklearn.utils.class_weight import compute_class_weight

from sksearch.laststep import enter, fit, growing_part
from sksearch.warmstarts import counts_total, goes_on, size_parameter, stopped_early

Rows: TypeAlias = NDArray[np.intp]
Seed: TypeAlias = tuple[int, ...]


PASSES = 81
"""Default `max_resources` of `partial_fit`: dask-ml's `max_iter`."""
MOST_GROWTH = 81
"""Default ratio of `max_resources` to `min_resources`: four halvings with factor 3, as the published example."""


@runtime_checkable
class Growth(Protocol):
    """Trains an estimator to an amount of resource; picklable, without state."""

    @property
    def resource(self) -> str:
        """Name of the resource: "partial_fit", "n_samples" or a parameter as `set_params` takes it."""
        ...

    @property
    def resumes(self) -> bool:
        """Whether a model trained for less can go on."""
        ...

    def fit(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_resources: int,
        trained: int,
        fit_params: Mapping[str, Any],
        seed: Seed,
        classes: Any = None,
    ) -> Any:
        """Train `estimator` until it has had `n_resources` in all; return the fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Unfitted, with the trial's parameters, when `trained` is 0; otherwise what an earlier
            call with this X, y, `fit_params` and seed returned. May be changed.
        X, y
            The training rows, chosen by `rows`.
        n_resources : int
            Units of resource in all.
        trained : int
            Units `estimator` has had already.
        fit_params : mapping
            What `estimator.fit` would take.
        seed : tuple of int
            Seeds every draw; the same for all rungs of a trial and fold.
        classes : array or None
            All labels, for a classifier that grows by `partial_fit`.
        """
        ...

    def rows(self, train: Rows, y: Any, groups: Any, *, n_resources: int, seed: Seed) -> Rows:
        """The rows among `train` to fit on; all of them unless the resource is "n_samples"."""
        ...


def final_fit(
    growth: Growth,
    estimator: Any,
    X: Any,
    y: Any,
    *,
    n_resources: int,
    fit_params: Mapping[str, Any],
    seed: Seed,
    classes: Any = None,
) -> Any:
    """Fit `estimator` anew as a trial at `n_resources` was: the same code, in one go, on rows that `rows` chose."""
    return growth.fit(
        estimator, X, y, n_resources=n_resources, trained=0, fit_params=fit_params, seed=seed, classes=classes
    )


# --- the four growths -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PartialFit:
    """Passes over the training rows by `partial_fit`, in a new random order each time.

    Pass k shuffles the rows by the seed and k alone, so it does not matter where a model paused.
    Arrays among the fit parameters with one entry per row follow the rows. (An int `random_state`
    would have SGD repeat one order in every call of `partial_fit`.)
    """

    max_resources: int
    """No model goes on after so many passes."""
    resource: str = "partial_fit"
    resumes: bool = True

    def fit(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_resources: int,
        trained: int,
        fit_params: Mapping[str, Any],
        seed: Seed,
        classes: Any = None,
    ) -> Any:
        """Make passes `trained` to `n_resources` - 1."""
        model, fold = enter(estimator, X, y, fit_params, trained=trained, pause=n_resources < self.max_resources)
        per_row, others = _split_by_row(fold.fit_params, _n_rows(fold.X))
        takes_classes = classes is not None and "classes" in inspect.signature(model.partial_fit).parameters
        with _BalancedAsWeights(model, fold.y):
            for number in range(trained, n_resources):
                first = {"classes": classes} if takes_classes and number == 0 else {}
                rows, labels, weights = _shuffled(fold.X, fold.y, per_row, np.random.default_rng((*seed, number)))
                known = {**first, **others, **weights}
                _ = model.partial_fit(rows, **known) if y is None else model.partial_fit(rows, labels, **known)
        return estimator

    def rows(self, train: Rows, y: Any, groups: Any, *, n_resources: int, seed: Seed) -> Rows:  # noqa: ARG002
        """All rows."""
        return train


@dataclass(frozen=True, slots=True)
class WarmStart:
    """A size parameter that an estimator with `warm_start` grows: `n_estimators` or `max_iter`.

    `warm_start` is true during a continued fit only, and the parameter says the full size after it:
    the result looks like an estimator fitted at once.

    Notes
    -----
    Measured with scikit-learn 1.6.0 and 1.9.1: `n_estimators`, and `max_iter` of
    HistGradientBoosting, count the members in all; any other `max_iter` counts the iterations of one
    call of `fit` (scikit-learn issue 25522). The former equal a fit at once bit for bit with an int
    `random_state`. The latter restart the solver from the coefficients: coordinate descent and
    mixtures do not mind (equal to rounding); SGD, MLP, LogisticRegression and Huber lose their step
    sizes or curvature and come to the same solution by another way.

    Where going on is refused (Bagging with out-of-bag scores) or forgets what early stopping had
    seen (GradientBoosting with `n_iter_no_change`), the model is fitted anew at the larger size.
    """

    resource: str
    max_resources: int
    """No model goes on after this size."""
    resumes: bool = True

    def fit(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_resources: int,
        trained: int,
        fit_params: Mapping[str, Any],
        seed: Seed,  # noqa: ARG002
        classes: Any = None,  # noqa: ARG002
    ) -> Any:
        """Grow from size `trained` to size `n_resources`."""
        name = self.resource.rpartition("__")[2]
        pause = n_resources < self.max_resources
        model, fold = enter(estimator, X, y, fit_params, trained=trained, pause=pause)
        if trained and stopped_early(model):
            return estimator.set_params(**{self.resource: n_resources})
        going_on = bool(trained) and goes_on(model, name)
        size = n_resources - trained if going_on and not counts_total(model, name) else n_resources
        usual = {key: value for key, value in model.get_params(deep=False).items() if key == "warm_start"}
        fit(model.set_params(**dict.fromkeys(usual, going_on), **{name: size}), *fold)
        model.set_params(**usual, **{name: n_resources})
        return estimator

    def rows(self, train: Rows, y: Any, groups: Any, *, n_resources: int, seed: Seed) -> Rows:  # noqa: ARG002
        """All rows."""
        return train


@dataclass(frozen=True, slots=True)
class Refit:
    """Any integer parameter; a promoted trial is fitted anew with the larger value."""

    resource: str
    resumes: bool = False

    def fit(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_resources: int,
        trained: int,  # noqa: ARG002
        fit_params: Mapping[str, Any],
        seed: Seed,  # noqa: ARG002
        classes: Any = None,  # noqa: ARG002
    ) -> Any:
        """Fit with the parameter set to `n_resources`."""
        return fit(estimator.set_params(**{self.resource: n_resources}), X, y, fit_params)

    def rows(self, train: Rows, y: Any, groups: Any, *, n_resources: int, seed: Seed) -> Rows:  # noqa: ARG002
        """All rows."""
        return train


@dataclass(frozen=True, slots=True)
class Samples:
    """Training rows; a promoted trial is fitted anew on more of them.

    For a fold with as many training rows as the largest, a unit is a row; smaller folds (and the
    whole data, for the refit) give the same share of their rows. A smaller sample is part of every
    larger one. Samples for a classifier keep the shares of the classes and have at least one row of
    each. With groups, whole groups are taken one after the other; only the last is cut.
    """

    n_rows: int
    """Training rows of the largest fold: at this resource all rows of every fold are used."""
    stratify: bool
    """Whether y holds the labels of a classifier."""
    resource: str = "n_samples"
    resumes: bool = False

    def fit(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_resources: int,  # noqa: ARG002
        trained: int,  # noqa: ARG002
        fit_params: Mapping[str, Any],
        seed: Seed,  # noqa: ARG002
        classes: Any = None,  # noqa: ARG002
    ) -> Any:
        """Fit on the rows that `rows` chose."""
        return fit(estimator, X, y, fit_params)

    def rows(self, train: Rows, y: Any, groups: Any, *, n_resources: int, seed: Seed) -> Rows:
        """So many of `train`, in their order there."""
        n_train = len(train)
        n_kept = n_train * n_resources // self.n_rows
        if n_kept >= n_train:
            return train
        labels = np.asarray(y)[train] if self.stratify else None
        if labels is not None and labels.ndim > 1:
            labels = None
        codes = np.zeros(n_train, dtype=np.intp) if labels is None else np.unique(labels, return_inverse=True)[1]
        rng = np.random.default_rng(seed)
        if groups is None:
            order = _stratified_order(codes, rng)
        else:
            order = _group_order(codes, np.unique(np.asarray(groups)[train], return_inverse=True)[1], rng)
        n_kept = max(n_kept, 1 + int(codes.max()))
        kept: Rows = train[np.sort(order[:n_kept])]
        return kept


def _stratified_order(codes: Rows, rng: np.random.Generator) -> Rows:
    """All positions, so that every beginning has the classes in their shares, and each of them at least once."""
    shuffled = rng.permutation(len(codes))
    quantile = np.empty(len(codes))
    for code in range(1 + int(codes.max())):
        members = shuffled[codes[shuffled] == code]
        quantile[members] = (np.arange(len(members)) + 0.5) / len(members)
        quantile[members[0]] = 0.0
    return shuffled[np.argsort(quantile[shuffled], kind="stable")]


def _group_order(codes: Rows, groups: Rows, rng: np.random.Generator) -> Rows:
    """All positions: one row of each class first, then group after group."""
    shuffled = rng.permutation(len(codes))
    place = rng.permutation(1 + int(groups.max()))[groups]
    order = shuffled[np.argsort(place[shuffled], kind="stable")]
    _, firsts = np.unique(codes[order], return_index=True)
    return np.concatenate([order[np.sort(firsts)], np.delete(order, firsts)])


# --- details of fitting -----------------------------------------------------------------------------


def _n_rows(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _split_by_row(fit_params: Mapping[str, Any], n_rows: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fit parameters with one entry per row, and the others."""
    per_row = {
        name: value
        for name, value in fit_params.items()
        if not isinstance(value, (str, bytes, Mapping))
        and name != "classes"
        and (hasattr(value, "shape") or hasattr(value, "__len__"))
        and np.ndim(value) > 0
        and _n_rows(value) == n_rows
    }
    return per_row, {name: value for name, value in fit_params.items() if name not in per_row}


def _shuffled(X: Any, y: Any, per_row: Mapping[str, Any], rng: np.random.Generator) -> tuple[Any, Any, dict[str, Any]]:
    """Everything that has one entry per row, in one random order."""
    names = list(per_row)
    arrays = [X, *([] if y is None else [y]), *per_row.values()]
    shuffled = shuffle(*arrays, random_state=int(rng.integers(2**32)))
    if len(arrays) == 1:
        return shuffled, None, {}
    rows, *rest = shuffled
    labels = None if y is None else rest.pop(0)
    return rows, labels, dict(zip(names, rest, strict=True))


class _BalancedAsWeights:
    """Within the block `class_weight="balanced"` is the weights it stands for: partial_fit refuses the word."""

    def __init__(self, model: Any, y: Any) -> None:
        self._model = model
        self._y = y
        self._balanced = y is not None and model.get_params(deep=False).get("class_weight") == "balanced"

    def __enter__(self) -> None:
        if self._balanced:
            labels = np.unique(np.asarray(self._y))
            weights = compute_class_weight("balanced", classes=labels, y=np.asarray(self._y))
            self._model.set_params(class_weight=dict(zip(labels.tolist(), weights.tolist(), strict=True)))

    def __exit__(self, *error: object) -> None:
        if self._balanced:
            self._model.set_params(class_weight="balanced")


# --- which resource ---------------------------------------------------------------------------------


class Resolved(NamedTuple):
    """What a search hands out."""

    growth: Growth
    min_resources: int
    max_resources: int


def resolve_resource(
    estimator: Any,
    resource: str,
    *,
    min_resources: int | Literal["auto"],
    max_resources: int | Literal["auto"],
    factor: float,
    searched_names: Collection[str],
    n_rows: int | None,
    n_splits: int,
    n_classes: int | None,
) -> Resolved:
    """Say what grows, from how much to how much.

    Parameters
    ----------
    estimator : estimator
        The last step of a Pipeline counts.
    resource : str
        "auto": the first of `partial_fit`, a size parameter that warm starts grow, "n_samples" that
        the estimator has and the search leaves free; or one of these; or any integer parameter, by
        the name `set_params` knows.
    min_resources, max_resources : int or "auto"
        "auto" for the largest: the estimator's own value of the parameter, 81 passes of
        `partial_fit`, all training rows. "auto" for the smallest: the largest divided by the
        greatest power of `factor` up to 81; but at least two rows per split and class.
    factor : float
        What rungs are apart.
    searched_names : collection of str
        Parameters in the search space.
    n_rows : int or None
        Training rows of the largest fold; None when there is no data yet.
    n_splits : int
        Number of folds.
    n_classes : int or None
        Number of labels; None for anything but a classifier with one target.

    >>> from sklearn.ensemble import RandomForestClassifier
    >>> resolved = resolve_resource(
    ...     RandomForestClassifier(), "auto", min_resources="auto", max_resources="auto", factor=3,
    ...     searched_names=["max_depth"], n_rows=150, n_splits=5, n_classes=3)
    >>> resolved.growth.resource, resolved.min_resources, resolved.max_resources
    ('n_estimators', 1, 100)

    Raises
    ------
    ValueError
        If the estimator has no such resource, the search sets it too, or the amounts make no sense.
    """
    prefix, model = growing_part(estimator)
    if resource == "auto":
        resource = _choose(prefix, model, searched_names, n_classes)
    if resource in searched_names:
        raise ValueError(
            f"resource={resource!r} is also searched; take it out of the search space, or choose another resource."
        )
    largest = _amount("max_resources", max_resources)
    if resource == "n_samples":
        largest = _most_rows(largest, n_rows)
        growth: Growth = Samples(n_rows=n_rows or largest, stratify=n_classes is not None)
    elif resource == "partial_fit":
        _check_partial_fit(model)
        largest = PASSES if largest is None else largest
        growth = PartialFit(max_resources=largest)
    else:
        largest = _own_value(estimator, resource, prefix, largest)
        warm = resource == f"{prefix}{size_parameter(model)}"
        growth = WarmStart(resource=resource, max_resources=largest) if warm else Refit(resource=resource)
    smallest = _amount("min_resources", min_resources)
    if smallest is None:
        fewest_rows = n_splits * 2 * (n_classes or 1) if resource == "n_samples" else 1
        smallest = min(largest, max(fewest_rows, _least(largest, factor)))
    if smallest > largest:
        raise ValueError(
            f"min_resources={smallest} is greater than max_resources={largest} ({resource}); lower min_resources."
        )
    return Resolved(growth, smallest, largest)


def _choose(prefix: str, model: Any, searched_names: Collection[str], n_classes: int | None) -> str:
    """The resource for "auto"; `partial_fit` of a classifier is told the labels, so there must be one list of them."""
    steps = prefix.split("__")[:-1]
    if any("__".join(steps[: depth + 1]) in searched_names for depth in range(len(steps))):
        return "n_samples"  # the last step itself is searched: only rows suit every choice
    has_passes = hasattr(model, "partial_fit") and not _stops_itself(model)
    if has_passes and (n_classes is not None or not is_classifier(model)):
        return "partial_fit"
    size = size_parameter(model)
    if size is not None and f"{prefix}{size}" not in searched_names and _is_count(model.get_params()[size]):
        return f"{prefix}{size}"
    return "n_samples"


def _check_partial_fit(model: Any) -> None:
    name = type(model).__name__
    if not hasattr(model, "partial_fit"):
        raise ValueError(
            f"resource='partial_fit' needs an estimator with partial_fit, {name} has none as it is set; "
            "use resource='n_samples' or the name of an integer parameter."
        )
    if _stops_itself(model):
        raise ValueError(
            f"resource='partial_fit' needs early_stopping=False, {name} refuses partial_fit otherwise; "
            "set it to False or use resource='max_iter'."
        )


def _stops_itself(model: Any) -> bool:
    params = model.get_params(deep=False) if hasattr(model, "get_params") else {}
    return params.get("early_stopping") is True


def _most_rows(largest: int | None, n_rows: int | None) -> int:
    if n_rows is None and largest is None:
        raise ValueError("resource='n_samples' counts training rows; pass X and y, or set max_resources.")
    if largest is None or n_rows is None:
        return largest or n_rows or 1
    if largest > n_rows:
        raise ValueError(
            f"max_resources={largest} is more than the {n_rows} training rows of a fold; use max_resources='auto'."
        )
    return largest


def _own_value(estimator: Any, resource: str, prefix: str, largest: int | None) -> int:
    """`largest`, or the estimator's own value of the parameter."""
    params = estimator.get_params()
    if resource not in params:
        near = f"{prefix}{resource}"
        hint = f"did you mean {near!r}?" if near in params else "see estimator.get_params() for its parameters."
        raise ValueError(
            f"resource={resource!r} is neither 'partial_fit' nor 'n_samples' nor a parameter of the estimator; {hint}"
        )
    value = params[resource]
    if value is not None and not _is_integer(value):
        raise ValueError(f"resource={resource!r} must be an integer parameter, the estimator has {value!r}.")
    if largest is not None:
        return largest
    if not _is_count(value):
        raise ValueError(f"max_resources='auto' takes the estimator's {resource}, which is {value!r}; set a number.")
    return int(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_integer(value) and bool(value >= 1)


def _amount(name: str, value: int | Literal["auto"]) -> int | None:
    """An amount of resource; None for "auto"."""
    if isinstance(value, str) and value == "auto":
        return None
    if not _is_count(value):
        raise ValueError(f"{name} must be 'auto' or an integer of at least 1, got {value!r}.")
    return int(value)


def _least(largest: int, factor: float) -> int:
    """`largest` divided by the greatest power of `factor` that is at most 81; at least 1."""
    if not (math.isfinite(factor) and factor > 1):
        raise ValueError(
            f"factor must be a finite number greater than 1, got {factor!r}; "
            "factor=3 keeps the best third at each rung."
        )
    exact = Fraction(repr(float(factor)))
    power = Fraction(1)
    while power * exact <= MOST_GROWTH:
        power *= exact
    return max(1, math.floor(largest / power))
