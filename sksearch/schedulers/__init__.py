"""Schedulers say which trial runs next, and with how much resource."""

from __future__ import annotations

from sksearch.schedulers.full import FullScheduler
from sksearch.schedulers.hyperband import AshaScheduler, HyperbandScheduler
from sksearch.schedulers.protocol import Scheduler

__all__ = ["AshaScheduler", "FullScheduler", "HyperbandScheduler", "Scheduler"]
