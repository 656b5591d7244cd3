"""Any integer parameter, by fitting anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sksearch.resources.laststep import fit
from sksearch.resources.protocol import Fold, Rows, Seed


@dataclass(frozen=True, slots=True)
class Refit:
    """Any integer parameter; a promoted trial is fitted anew with the larger value."""

    resource: str
    resumes: bool = False

    def fit(self, estimator: Any, fold: Fold, *, n_resources: int, trained: int) -> Any:  # noqa: ARG002
        """Fit with the parameter set to `n_resources`."""
        return fit(estimator.set_params(**{self.resource: n_resources}), fold)

    def rows(self, train: Rows, y: Any, groups: Any, *, n_resources: int, seed: Seed) -> Rows:  # noqa: ARG002
        """All rows."""
        return train
