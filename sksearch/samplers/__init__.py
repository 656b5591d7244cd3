"""Samplers say what to try next.

Public for those who write their own: `HyperbandSearchCV(sampler=...)` takes anything with the method
of `Sampler`.
"""

from __future__ import annotations

from sksearch.samplers.bayes import BayesSampler
from sksearch.samplers.fixed import FixedSampler
from sksearch.samplers.protocol import Sampler
from sksearch.samplers.random import RandomSampler

__all__ = ["BayesSampler", "FixedSampler", "RandomSampler", "Sampler"]
