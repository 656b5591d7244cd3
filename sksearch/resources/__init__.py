"""What can grow, and how: the resources that Hyperband hands out.

A *growth* trains an estimator to an amount of one resource: `PartialFit` (passes over the data),
`WarmStart` (trees, boosting rounds, solver iterations), `Boosting` (rounds of LightGBM, XGBoost and
CatBoost), `Samples` (training rows) and `Refit` (any other integer parameter). The first three go on
from a paused model; a model grown 1 -> 3 -> 9 equals one grown to 9 at once bit for bit wherever the
estimator itself allows that.

In a Pipeline the last step grows; the steps before it are fitted once (see `laststep`). Where a step is
itself searched, what may stand there decides what grows (see `steps`).
"""

from __future__ import annotations

from sksearch.resources.boosters import Boosting
from sksearch.resources.choice import Resolved, resolve_resource
from sksearch.resources.passes import PartialFit
from sksearch.resources.protocol import Fold, Growth
from sksearch.resources.refits import Refit
from sksearch.resources.samples import Samples
from sksearch.resources.steps import grows_classifier
from sksearch.resources.warmstarts import WarmStart

__all__ = [
    "Boosting",
    "Fold",
    "Growth",
    "PartialFit",
    "Refit",
    "Resolved",
    "Samples",
    "WarmStart",
    "grows_classifier",
    "resolve_resource",
]
