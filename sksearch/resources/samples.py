"""Training rows: nested samples that keep classes and groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sksearch.resources.laststep import fit
from sksearch.resources.protocol import Rows, Seed


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
