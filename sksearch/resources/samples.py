"""Training rows: nested samples that keep classes and groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sksearch.resources.laststep import fit
from sksearch.resources.protocol import Fold, Rows, Seed


@dataclass(frozen=True, slots=True)
class Samples:
    """Training rows; a promoted trial is fitted anew on more of them.

    For a fold with as many training rows as the largest, a unit is a row; smaller folds give the same
    share of their rows, but not fewer than `least`. A smaller sample is part of every larger one.
    Samples for a classifier keep the shares of the classes (of a single target) and have at
    least one row of each class of each target, so that they are not for fewer units than that may take.
    With groups, whole groups are taken one after the other, the last in part; only the one row of a class
    may be of a later group.
    """

    n_rows: int
    """Training rows of the largest fold: at this resource all rows of every fold are used."""
    stratify: bool
    """Whether y holds the labels of a classifier."""
    least: int = 1
    """Rows that a sample has at least, if its fold has so many."""
    resource: str = "n_samples"
    resumes: bool = False

    def fit(self, estimator: Any, fold: Fold, *, n_resources: int, trained: int) -> Any:  # noqa: ARG002
        """Fit on the rows that `rows` chose."""
        return fit(estimator, fold)

    def rows(self, train: Rows, y: Any, groups: Any, *, n_resources: int, seed: Seed) -> Rows:
        """So many of `train`, in their order there."""
        n_train = len(train)
        n_kept = max(n_train * n_resources // self.n_rows, self.least)
        if n_kept >= n_train:
            return train
        rng = np.random.default_rng(seed)
        order = rng.permutation(n_train)
        codes = _codes(y, train) if self.stratify and y is not None else np.zeros((n_train, 1), dtype=np.intp)
        if groups is not None:
            members = _codes(groups, train)
            one = members.shape[1] == 1
            members = members[:, 0] if one else np.unique(members, axis=0, return_inverse=True)[1].ravel()
            order = order[np.argsort(rng.permutation(1 + int(members.max()))[members[order]], kind="stable")]
        elif codes.shape[1] == 1:
            order = order[np.argsort(_quantiles(codes[order, 0]), kind="stable")]
        firsts = _one_of_each(codes[order])
        order = np.concatenate([order[firsts], np.delete(order, firsts)])
        kept: Rows = train[np.sort(order[: max(n_kept, len(firsts))])]
        return kept


def n_different(y: Any) -> int:
    """How many rows of labels there are that differ."""
    return len({row.tobytes() for row in _codes(y, slice(None))})


def _codes(y: Any, train: Rows | slice) -> Rows:
    """The labels, or groups, of the training rows as numbers from 0, one column for each of theirs."""
    dense = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
    labels = dense[train]
    labels = labels.reshape(len(labels), -1)
    return np.column_stack([_numbered(column) for column in labels.T])


def _numbered(labels: NDArray[Any]) -> Rows:
    try:
        return np.unique(labels, return_inverse=True)[1]
    except TypeError:  # of several types, as None and words, which have no order
        numbers: dict[Any, int] = {}
        one_nan = (math.nan if isinstance(label, float) and math.isnan(label) else label for label in labels.tolist())
        return np.array([numbers.setdefault(label, len(numbers)) for label in one_nan])


def _quantiles(codes: Rows) -> NDArray[np.float64]:
    """Where each row stands among those of its class, from 0 to 1: sorted by it, every beginning has all shares."""
    quantiles = np.empty(len(codes))
    for code in range(1 + int(codes.max())):
        members = np.flatnonzero(codes == code)
        quantiles[members] = (np.arange(len(members)) + 0.5) / len(members)
    return quantiles


def _one_of_each(codes: Rows) -> Rows:
    """The first row of each class of each target."""
    firsts = [np.unique(column, return_index=True)[1] for column in codes.T]
    return np.unique(np.concatenate(firsts))
