"""Learning curves that cost nothing to evaluate: what a model of these parameters scores after so many units.

Larger is better, 1 unit of resource is the least and `MOST` the most. `correlated` is what Hyperband hopes for; in the
others early scores mislead, each in its own way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sksearch.space import Real

Params = dict[str, Any]
MOST = 81
NAMES = ("x0", "x1", "x2", "x3")
SPACE: dict[str, Any] = dict.fromkeys(NAMES, Real(0.0, 1.0))


@dataclass(frozen=True)
class Curves:
    """A family of learning curves over four real parameters in [0, 1]."""

    loss: Callable[[np.ndarray, float], float]
    """(parameters, units) -> loss without noise."""
    noise: float = 0.005
    """Standard deviation of the luck of a trial, which stays with it, and of a rung, which does not: half the variance
    each."""

    def value(self, params: Params) -> float:
        """The score at the top without luck."""
        return -self.loss(np.array([params[name] for name in NAMES]), MOST)

    def score(self, params: Params, n_resources: int, seed: int) -> float:
        """What a search sees; a function of its arguments."""
        x = np.array([params[name] for name in NAMES])
        key = [seed, *np.round(1e9 * x).astype(int).tolist()]
        lasting = np.random.default_rng(key).normal()
        passing = np.random.default_rng([*key, n_resources]).normal()
        return -self.loss(x, n_resources) + self.noise * math.sqrt(0.5) * float(lasting + passing)


def bowl(x: np.ndarray) -> float:
    """How far parameters are from good ones: curved, with a cross term, 0 at best."""
    u = (x - np.array([0.3, 0.6, 0.45, 0.7])) * np.array([1.0, 0.8, 0.6, 0.5])
    return float(u @ u + 0.6 * u[0] * u[1]) + 0.05 * float(np.sin(9 * u[2]) ** 2)


def correlated(x: np.ndarray, n: float) -> float:
    """Power laws: what is good in the end is good early, give or take the exponents."""
    floor = bowl(x)
    return floor + (0.25 + 0.5 * floor) * n ** -(0.5 + 0.3 * x[3] - 0.2 * x[1])


def crossing(x: np.ndarray, n: float) -> float:
    """A learning rate: the larger it is (x0), the faster the loss falls, and the higher it ends."""
    rate = 10 ** (2.5 * x[0] - 2)
    floor = 0.15 * x[0] + 0.3 * bowl(np.array([0.3, x[1], x[2], x[3]]))
    return floor + 0.6 * math.exp(-rate * n * (0.6 + 0.4 * x[3]))


def overfitting(x: np.ndarray, n: float) -> float:
    """Flexible models (x0) learn at once, and then by heart."""
    floor = 0.4 * bowl(np.array([0.3, x[1], x[2], x[3]]))
    learned = 0.5 * math.exp(-n * 10 ** (2 * x[0] - 1.8))
    return floor + learned + 0.35 * x[0] ** 2 * n / MOST


def late(x: np.ndarray, n: float) -> float:
    """Nothing is learned for a while, then all of it: the lowest rungs hear noise alone."""
    risen = 1 / (1 + math.exp(-(n - 12) / 2.0))
    return 1.0 - (1.0 - bowl(x)) * risen


def opposed(x: np.ndarray, n: float) -> float:
    """Early scores are the reverse of late ones, up to a third of the way."""
    share = 1 / (1 + math.exp(-(n - 27) / 4.0))
    return share * bowl(x) + (1 - share) * (1.2 - bowl(x))


CURVES = {
    "correlated": Curves(correlated),
    "crossing": Curves(crossing),
    "overfitting": Curves(overfitting),
    "late": Curves(late),
    "opposed": Curves(opposed),
}
