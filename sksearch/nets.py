"""skorch nets: how their training goes on, is seeded and pickled. Neither torch nor skorch is imported here."""

from __future__ import annotations

import copyreg
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy, deepcopy
from typing import Any, TypeAlias

import numpy as np

Weights: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The `state_dict` of each module of a net, by its attribute."""

_BEFORE_THE_END = "_before_the_end"
"""Attribute of a paused net: weights that a callback replaced at the end of its training so far."""
_ENDED_ITSELF = "_ended_itself"
"""Attribute of a net whose training a callback has ended. (Both are no parameters, so clone leaves them behind.)"""

_generator = threading.RLock()
"""Held while torch's global generators are ours: they are one for all threads."""


def is_net(model: Any) -> bool:
    """Whether `model` is a net of skorch, or of a subclass.

    >>> is_net(object())
    False
    """
    return _is_a(model, "skorch.net", "NeuralNet")


def _is_a(obj: Any, module: str, name: str) -> bool:
    return any((cls.__module__, cls.__name__) == (module, name) for cls in type(obj).__mro__)


# --- training -----------------------------------------------------------------------------------------------------


def train(
    net: Any, X: Any, y: Any, *, epochs: range, seed: tuple[int, ...], fit_params: Mapping[str, Any], pause: bool
) -> None:
    """Run `epochs` of a training that begins with epoch 0, so that parts of it make the whole.

    `partial_fit` would tell the callbacks at each call that a training begins: a schedule of learning
    rates is set up anew then, and counts the decay so far twice; early stopping forgets what it has seen.
    And what the callbacks do to the weights when a part ends (early stopping puts the best ones back) is not what the
    next part begins with, which comes with `pause`.
    """
    for name, weights in net.__dict__.pop(_BEFORE_THE_END, {}).items():
        getattr(net, name).load_state_dict(weights)
    with _one_split(net, seed), _interrupts() as interrupted:
        for number in epochs:
            with seeded((*seed, number)):
                if number == 0:
                    net.initialize()
                    net.notify("on_train_begin", X=X, y=y)
                if net.__dict__.get(_ENDED_ITSELF):
                    break
                try:
                    net.fit_loop(X, y, epochs=1, **fit_params)
                except KeyboardInterrupt:  # so callbacks end a training, and skorch's own fit takes it so
                    if interrupted():
                        raise
                    net.__dict__[_ENDED_ITSELF] = True
    before = deepcopy(_weights(net)) if pause else {}
    net.notify("on_train_end", X=X, y=y)
    after = _weights(net)
    if replaced := {name: weights for name, weights in before.items() if not _equal(weights, after[name])}:
        net.__dict__[_BEFORE_THE_END] = replaced


def passed_over(net: Any) -> str | None:
    """The method of a user's own subclass that `train` would not call, if any.

    >>> passed_over(object()) is None
    True
    """
    for name in ("partial_fit", "fit"):
        owner = next((cls for cls in type(net).__mro__ if name in vars(cls)), None)
        if owner is not None and not owner.__module__.startswith("skorch."):
            return name
    return None


def loads_a_file(net: Any) -> bool:
    """Whether a callback ends a training with the weights of a file, which other trainings write to meanwhile."""
    named = [one[1] if isinstance(one, tuple) else one for one in getattr(net, "callbacks", None) or ()]
    return any(_is_a(one, "skorch.callbacks.training", "Checkpoint") and one.load_best for one in named)


@contextmanager
def governed(model: Any, seed: tuple[int, ...]) -> Iterator[None]:
    """Within the block `fit` of a net draws from `seed`, and does not take the user's Ctrl-C for an end of training."""
    if not is_net(model):
        yield
        return
    with seeded(seed), _one_split(model, seed), _interrupts() as interrupted:
        yield
        if interrupted():
            raise KeyboardInterrupt


def _weights(net: Any) -> Weights:
    names = (f"{name}_" for name in net._modules)  # noqa: SLF001 - the only list of them
    return {name: getattr(net, name).state_dict() for name in names}


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two nets have the same weights; in doubt, not."""
    torch = sys.modules["torch"]
    tensors = (
        isinstance(value, torch.Tensor) and isinstance(other.get(name), torch.Tensor) for name, value in one.items()
    )
    return all(tensors) and all(torch.equal(value, other[name]) for name, value in one.items())


@contextmanager
def seeded(seed: tuple[int, ...]) -> Iterator[None]:
    """Within the block torch draws from `seed`; after it, as if the block had not been."""
    torch = sys.modules["torch"]  # whoever has a net has imported it
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with _generator, torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]))
        yield


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Tell whether the user's Ctrl-C came within the block: callbacks end a training by the same exception."""
    came = False
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield lambda: False
        return

    def note(number: int, frame: Any) -> None:
        nonlocal came
        came = True
        usual(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, usual)


# --- the rows that a net holds out ----------------------------------------------------------------------------------


@contextmanager
def _one_split(net: Any, seed: tuple[int, ...]) -> Iterator[None]:
    """Within the block, and in any other with `seed`, the net holds out the same rows.

    skorch's `fit` draws them once; `fit_loop`, in parts, would draw other ones for each part.
    """
    split = net.train_split
    if not split:
        yield
        return
    net.__dict__["train_split"] = _OneSplit(split, seed)
    try:
        yield
    finally:
        net.__dict__["train_split"] = split


class _OneSplit:
    """Stands for a `train_split`, whose first answer it keeps; copied or pickled it is the one that it stands for."""

    def __init__(self, split: Any, seed: tuple[int, ...]) -> None:
        self._split = split
        self._seed = seed
        self._parts: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._parts is None:
            split = deepcopy(self._split) if _is_a(self._split, "skorch.dataset", "ValidSplit") else self._split
            with seeded(self._seed), _numpy_seeded(self._seed):  # a RandomState would go on with every answer
                self._parts = split(*args, **kwargs)
        return self._parts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._split, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return copy, (self._split,)


@contextmanager
def _numpy_seeded(seed: tuple[int, ...]) -> Iterator[None]:
    """Within the block NumPy's global generator draws from `seed`; after it, as if the block had not been."""
    before = np.random.get_state()  # noqa: NPY002 - what splitters without a random_state draw from
    np.random.seed(np.random.SeedSequence(seed).generate_state(4))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


# --- pickling -----------------------------------------------------------------------------------------------------


def has_pieces(obj: Any) -> bool:
    """Whether `reduce_net` is to pickle it: a net, or a callback that would leave the best weights so far behind."""
    return is_net(obj) or _is_a(obj, "skorch.callbacks.training", "EarlyStopping")


def reduce_net(net: Any) -> tuple[Any, ...]:
    """The pieces of a net, for the pickler that asks, or of such a callback, in place of skorch's own `__getstate__`.

    That of a net calls the standard pickle inside, which refuses modules whose class is of a notebook's `__main__`.
    """
    restore: Callable[[Any, dict[str, Any]], None] = _restore
    return copyreg.__newobj__, (type(net),), vars(net), None, None, restore  # type: ignore[attr-defined]  # undocumented


def _restore(net: Any, pieces: dict[str, Any]) -> None:
    net.__dict__.update(pieces)
    for name in pieces.get("_optimizers", ()):
        optimizer: Any = pieces.get(f"{name}_")
        if _is_a(optimizer, "torch.optim.lbfgs", "LBFGS"):  # torch's own pickle leaves these out
            optimizer._params = optimizer.param_groups[0]["params"]  # noqa: SLF001
            optimizer._numel_cache = None  # noqa: SLF001
