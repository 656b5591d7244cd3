"""What trains an estimator to an amount of resource: the protocol of the growths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.intp]
Seed: TypeAlias = tuple[int, ...]


class Fold(NamedTuple):
    """What a model is fitted to: training rows, and what belongs to them."""

    X: Any
    y: Any
    """None without one."""
    fit_params: Mapping[str, Any]
    """What the estimator's `fit` would take."""
    seed: Seed
    """Seeds every draw; the same for all rungs of a trial and fold."""
    classes: Any = None
    """All labels, for a classifier that grows by `partial_fit`; of several targets a tuple, one array for each."""
    whole: tuple[Any, ...] = ()
    """Those of `fit_params` that have no entry per row, even if they happen to be as long as the fold."""
    unfinished: bool = False
    """Whether a model that asks for more iterations gets them if it is promoted, so that it need not warn."""


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

    def fit(self, estimator: Any, fold: Fold, *, n_resources: int, trained: int) -> Any:
        """Train `estimator` until it has had `n_resources` in all; return the fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Unfitted, with the trial's parameters, when `trained` is 0; otherwise what an earlier
            call with this fold returned. May be changed.
        fold : Fold
        n_resources : int
            Units of resource in all.
        trained : int
            Units `estimator` has had already.
        """
        ...

    def rows(self, train: Rows, y: Any, groups: Any, *, n_resources: int, seed: Seed) -> Rows:
        """The rows among `train` to fit on; all of them unless the resource is "n_samples"."""
        ...
