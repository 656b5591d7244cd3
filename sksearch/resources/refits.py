"""Any integer parameter, by fitting anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sksearch.resources.laststep import fit
from sksearch.resources.protocol import Rows, Seed


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
