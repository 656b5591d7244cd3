"""Passes over the training rows by `partial_fit`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import MetaEstimatorMixin, is_classifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import indexable

from sksearch._sklearn import safe_indexing
from sksearch.nets import is_net, train
from sksearch.resources.laststep import enter
from sksearch.resources.overrides import passes_leave_out_fit, reached_by_passes, setting
from sksearch.resources.protocol import Fold, Rows, Seed


@dataclass(frozen=True, slots=True)
class PartialFit:
    """Passes over the training rows by `partial_fit`, in a new random order each time.

    Pass k shuffles the rows by the seed and k alone, so it does not matter where a model paused.
    Arrays among the fit parameters with one entry per row follow the rows. (An int `random_state`
    would have SGD repeat one order in every call of `partial_fit`.)

    A skorch net makes one epoch a pass, on the rows in their order: shuffling is its own iterator's
    choice, and its `train_split` stays one split. Torch's generator is seeded by the seed and k.
    """

    max_resources: int
    """No model goes on after so many passes."""
    resource: str = "partial_fit"
    resumes: bool = True

    def fit(self, estimator: Any, fold: Fold, *, n_resources: int, trained: int) -> Any:
        """Make passes `trained` to `n_resources` - 1."""
        pause = n_resources < self.max_resources
        model, caught = enter(estimator, fold, trained=trained, pause=pause)
        if any(passes_leave_out_fit(part) for _, part in reached_by_passes(model)):  # drawn, so nobody knew
            raise TypeError(f"{model!r} makes passes by the partial_fit of a base class of its own fit.")
        if is_net(model):
            X, y, fit_params, *_ = caught
            passes = range(trained, n_resources)
            train(model, X, y, epochs=passes, seed=fold.seed, fit_params=fit_params, pause=pause)
            return estimator
        per_row, others = _split_by_row(caught)
        X, y, *arrays = indexable(caught.X, caught.y, *per_row.values())
        per_row = dict(zip(per_row, arrays, strict=True))
        labels_first = _labels_first(model, fold.classes)
        with _BalancedAsWeights(model, caught.y):
            for number in range(trained, n_resources):
                first = labels_first if number == 0 else {}
                rows, labels, weights = _shuffled(X, y, per_row, np.random.default_rng((*fold.seed, number)))
                known = {**first, **others, **weights}
                _ = model.partial_fit(rows, **known) if fold.y is None else model.partial_fit(rows, labels, **known)
        return estimator

    def rows(self, train: Rows, y: Any, groups: Any, *, n_resources: int, seed: Seed) -> Rows:  # noqa: ARG002
        """All rows."""
        return train


def _labels_first(model: Any, classes: Any) -> dict[str, Any]:
    """What the first call of `partial_fit` gets besides the data: all labels, where it has a place for them.

    A tuple has the labels of several targets. `MultiOutputClassifier` takes them as a list; a neural network knows only
    yes and no (a multilabel indicator), and is told the numbers of the labels; others have rules of their own.
    """
    if classes is None or not takes_classes(model):
        return {}
    if isinstance(model, MultiOutputClassifier):  # one column, perhaps
        return {"classes": [classes] if isinstance(classes, np.ndarray) else list(classes)}
    if not isinstance(classes, tuple):
        return {"classes": classes}
    return {"classes": np.arange(len(classes))} if isinstance(model, MLPClassifier) else {}


def learns_several_targets(classifier: Any) -> bool:
    """Whether its `partial_fit` is known to be told what it needs of the labels of several targets."""
    return isinstance(classifier, (MultiOutputClassifier, MLPClassifier))


def takes_classes(model: Any) -> bool:
    """Whether `partial_fit` has that argument, or hands whatever it gets on to one of a base class that has it."""
    inherited = (getattr(base, "partial_fit", None) for base in type(model).__mro__[1:])
    for method in (model.partial_fit, *filter(None, inherited)):
        accepted = inspect.signature(method).parameters
        if "classes" in accepted:
            return True
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
            return False
    return bool(is_classifier(model)) and isinstance(model, MetaEstimatorMixin)  # it hands them on to another one


def _n_rows(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _split_by_row(fold: Fold) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fit parameters with one entry per row, and the others."""
    n_rows = _n_rows(fold.X)
    per_row = {
        name: value
        for name, value in fold.fit_params.items()
        if not isinstance(value, (str, bytes, Mapping))
        and not any(value is other for other in fold.whole)
        and name != "classes"
        and (hasattr(value, "shape") or hasattr(value, "__len__"))
        and np.ndim(value) > 0
        and _n_rows(value) == n_rows
    }
    return per_row, {name: value for name, value in fold.fit_params.items() if name not in per_row}


def _shuffled(X: Any, y: Any, per_row: Mapping[str, Any], rng: np.random.Generator) -> tuple[Any, Any, dict[str, Any]]:
    """Everything that has one entry per row, in one random order."""
    order = rng.permutation(_n_rows(X))
    return _take(X, order), None if y is None else _take(y, order), {k: _take(v, order) for k, v in per_row.items()}


def _take(rows: Any, order: Rows) -> Any:
    """`rows` in another order; of a plain array four times as fast as scikit-learn's, which has to look what it is."""
    return rows.take(order, axis=0) if type(rows) is np.ndarray else safe_indexing(rows, order)


class _BalancedAsWeights:
    """Within the block `class_weight="balanced"` is the weights it stands for: partial_fit refuses the word."""

    def __init__(self, model: Any, y: Any) -> None:
        self._model = model
        self._y = y
        given = setting("class_weight", model)
        self._balanced = y is not None and isinstance(given, str) and given == "balanced"

    def __enter__(self) -> None:
        if self._balanced:
            labels = np.unique(np.asarray(self._y))
            weights = compute_class_weight("balanced", classes=labels, y=np.asarray(self._y))
            keys = [_looked_up(label) for label in labels.tolist()]
            self._model.class_weight = dict(zip(keys, weights.tolist(), strict=True))

    def __exit__(self, *error: object) -> None:
        if self._balanced:
            self._model.class_weight = "balanced"


def _looked_up(label: Any) -> Any:
    """What scikit-learn looks for in a dict of weights: newer versions, of a label such as "7", the number."""
    try:
        compute_class_weight({label: 1.0}, classes=np.array([label]), y=[label])
    except ValueError:
        return int(label)
    return label
