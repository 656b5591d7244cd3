"""skorch nets: how their training goes on, is seeded and pickled. Neither torch nor skorch is imported here."""

from __future__ import annotations

import copyreg
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

_generator = threading.RLock()
"""Held while torch's global generators are ours: they are one for all threads."""


def is_net(model: Any) -> bool:
    """Whether `model` is a net of skorch, or of a subclass.

    >>> is_net(object())
    False
    """
    return any((cls.__module__, cls.__name__) == ("skorch.net", "NeuralNet") for cls in type(model).__mro__)


def train(net: Any, X: Any, y: Any, *, epochs: range, seed: tuple[int, ...], fit_params: Mapping[str, Any]) -> None:
    """Run `epochs` of a training that begins with epoch 0, so that parts of it make the whole.

    `partial_fit` would tell the callbacks at each call that a training begins: a schedule of learning
    rates is set up anew then, and counts the decay so far twice; early stopping forgets what it has seen.
    """
    for number in epochs:
        with seeded((*seed, number)):
            if number == 0:
                net.initialize()
                net.notify("on_train_begin", X=X, y=y)
            if net.__dict__.get("_ended_itself"):
                break
            try:
                net.fit_loop(X, y, epochs=1, **fit_params)
            except KeyboardInterrupt:  # so callbacks end a training, and skorch's own fit takes it so
                net.__dict__["_ended_itself"] = True  # no parameter: clone leaves it behind
    net.notify("on_train_end", X=X, y=y)


@contextmanager
def seeded(seed: tuple[int, ...]) -> Iterator[None]:
    """Within the block torch draws from `seed`; after it, as if the block had not been."""
    torch = sys.modules["torch"]  # whoever has a net has imported it
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with _generator, torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]))
        yield


def reduce_net(net: Any) -> tuple[Any, ...]:
    """The pieces of a net, for the pickler that asks: skorch's own `__getstate__` calls the standard pickle inside.

    That refuses modules whose class is of a notebook's `__main__`.
    """
    restore: Callable[[Any, dict[str, Any]], None] = _restore
    return copyreg.__newobj__, (type(net),), vars(net), None, None, restore  # type: ignore[attr-defined]  # undocumented


def _restore(net: Any, pieces: dict[str, Any]) -> None:
    net.__dict__.update(pieces)
