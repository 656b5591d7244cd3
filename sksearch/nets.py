"""skorch nets: how their training goes on, is seeded and pickled. Neither torch nor skorch is imported here."""

from __future__ import annotations

import copyreg
import operator
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import copy, deepcopy
from typing import Any, TypeAlias

import numpy as np

Weights: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The `state_dict` of each module of a net, by its attribute."""

_BEFORE_THE_END = "_before_the_end_"
"""Attribute of a paused net: weights that a callback replaced at the end of its training so far."""
_ENDED_ITSELF = "_ended_itself_"
"""Attribute of a net whose training a callback has ended. (Only the last underscore says that it is no parameter.)"""

_generator = threading.RLock()
"""Held while torch's global generators are ours: they are one for all threads."""


def is_net(model: Any) -> bool:
    """Whether `model` is a net of skorch, or of a subclass.

    >>> is_net(object())
    False
    """
    return _derives(type(model), "skorch.net", "NeuralNet")


def _derives(kind: type, module: str, name: str) -> bool:
    return any((cls.__module__, cls.__name__) == (module, name) for cls in kind.__mro__)


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
    before = _copied(_weights(net)) if pause and _may_replace_weights(net) else {}
    net.notify("on_train_end", X=X, y=y)
    after = _weights(net)
    if replaced := {name: weights for name, weights in before.items() if not _equal(weights, after[name])}:
        net.__dict__[_BEFORE_THE_END] = replaced
    if not pause:
        net.__dict__.pop(_ENDED_ITSELF, None)


def loads_a_file(net: Any) -> bool:
    """Whether a callback ends a training with the weights of a file, which other trainings write to meanwhile."""
    given = getattr(net, "callbacks", None)
    for one in given if isinstance(given, (list, tuple)) else ():
        name, callback = one if isinstance(one, tuple) else (None, one)
        kind = callback if isinstance(callback, type) else type(callback)
        if _derives(kind, "skorch.callbacks.training", "Checkpoint"):
            parameter = f"callbacks__{name or kind.__name__}__load_best"
            own = not isinstance(callback, type) and callback.load_best
            if vars(net).get(parameter, own):
                return True
    return False


@contextmanager
def governed(estimator: Any, last: Any, seed: tuple[int, ...]) -> Iterator[None]:
    """Within the block nets draw from `seed`, and their `fit` does not take the user's Ctrl-C for an end of training.

    Those of the estimator, or in it; what `last` of its steps holds out comes from `seed`, too.
    """
    if "skorch" not in sys.modules or not has_net(estimator):
        yield
        return
    split = _one_split(last, seed) if is_net(last) else nullcontext()
    with seeded(seed), split, _interrupts() as interrupted:
        yield
        if interrupted():
            raise KeyboardInterrupt


def has_net(estimator: Any) -> bool:
    """Whether it is a net, or has one among its parameters or theirs.

    >>> has_net(object())
    False
    """
    if is_net(estimator):
        return True
    return hasattr(estimator, "get_params") and any(map(is_net, estimator.get_params().values()))


def _may_replace_weights(net: Any) -> bool:
    """Whether a callback does anything when a training ends."""
    usual = sys.modules["skorch.callbacks"].Callback.on_train_end
    return any(type(callback).on_train_end is not usual for _, callback in net.callbacks_)


def _weights(net: Any) -> Weights:
    names = (f"{name}_" for name in net._modules)  # noqa: SLF001 - the only list of them
    return {name: getattr(net, name).state_dict() for name in names}


def _copied(weights: Weights) -> Weights:
    return {
        module: {name: value.detach().clone() if _is_tensor(value) else deepcopy(value) for name, value in own.items()}
        for module, own in weights.items()
    }


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two nets have the same weights; in doubt, not."""
    if not all(_is_tensor(value) and _is_tensor(other.get(name)) for name, value in one.items()):
        return False
    return all(sys.modules["torch"].equal(value.to_dense(), other[name].to_dense()) for name, value in one.items())


def _is_tensor(value: Any) -> bool:
    return isinstance(value, sys.modules["torch"].Tensor)


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
        try:
            usual(number, frame)
        except KeyboardInterrupt:  # not all handlers raise it
            came = True
            raise

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: came
    finally:
        if signal.getsignal(signal.SIGINT) is note:
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
    """Stands for a `train_split`, and answers the same question as before; copied or pickled it is what it stands for.

    Every question is put to a copy, as generators of its own would go on with each.
    """

    def __init__(self, split: Any, seed: tuple[int, ...]) -> None:
        self._split = split
        self._seed = seed
        self._asked: tuple[Any, ...] = ()
        self._parts: Any = None

    def __call__(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        # skorch makes a dataset of the same X for each epoch
        asked = (getattr(dataset, "X", dataset), *args, *kwargs.values())
        same = len(asked) == len(self._asked) and all(map(operator.is_, asked, self._asked))
        if not same:
            with seeded(self._seed), _globally_seeded(self._seed):
                self._parts = _fresh(self._split)(dataset, *args, **kwargs)
            self._asked = asked
        return self._parts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._split, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return copy, (self._split,)


def _fresh(split: Any) -> Any:
    """A copy, unless it is of no use (skorch's `predefined_split` has data in it) or cannot be had."""
    if getattr(getattr(split, "func", None), "__module__", None) == "skorch.helper":
        return split
    try:
        return deepcopy(split)
    except Exception:  # noqa: BLE001 - whatever the copying of its parts raises
        return split


@contextmanager
def _globally_seeded(seed: tuple[int, ...]) -> Iterator[None]:
    """Within the block the global generators of NumPy and Python draw from `seed`; after it, as if it had not been."""
    numpys, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002 - of splitters without a random_state
    entropy = np.random.SeedSequence(seed).generate_state(4)
    np.random.seed(entropy)  # noqa: NPY002
    random.seed(entropy.tobytes())
    try:
        yield
    finally:
        np.random.set_state(numpys)  # noqa: NPY002
        random.setstate(pythons)


# --- pickling -----------------------------------------------------------------------------------------------------


_Reduced: TypeAlias = tuple[Any, ...] | None


def reduced(obj: Any) -> _Reduced:
    """For the pickler that asks, the pieces of what leaves some behind by itself; None for the usual.

    The `__getstate__` of a net calls the standard pickle inside, which refuses modules whose class is of a notebook's
    `__main__`; that of early stopping drops the best weights so far; that of an optimizer drops all that is its own.
    """
    kind = type(obj)
    stops = _pickles_as(kind, "skorch.callbacks.training", "EarlyStopping") and not hasattr(kind, "__setstate__")
    if is_net(obj) or stops:
        return _pieces(obj, vars(obj), _restore)
    if _pickles_as(kind, "torch.optim.optimizer", "Optimizer"):
        torch = sys.modules["torch"]
        usual = {*vars(torch.optim.SGD([torch.zeros(1)], lr=1.0)), *_WRAPPED_BY_SCHEDULES}
        own = {name: value for name, value in vars(obj).items() if name not in usual}
        return _pieces(obj, (obj.__getstate__(), own), _restore_optimizer)
    return None


_WRAPPED_BY_SCHEDULES = ("step", "_opt_called")
"""Attributes that a schedule of torch gives to its optimizer, and again when it is read back."""


def _pickles_as(kind: type, module: str, name: str) -> bool:
    """Whether it is that class, or one that leaves to it what is pickled."""
    named = next((cls for cls in kind.__mro__ if (cls.__module__, cls.__name__) == (module, name)), None)
    methods = ("__getstate__", "__reduce__", "__reduce_ex__")
    return named is not None and all(getattr(kind, m, None) is getattr(named, m, None) for m in methods)


def _pieces(obj: Any, state: Any, restore: Callable[[Any, Any], None]) -> _Reduced:
    return copyreg.__newobj__, (type(obj),), state, None, None, restore  # type: ignore[attr-defined]  # undocumented


def _restore(obj: Any, pieces: dict[str, Any]) -> None:
    obj.__dict__.update(pieces)


def _restore_optimizer(optimizer: Any, pieces: tuple[Any, dict[str, Any]]) -> None:
    state, own = pieces
    optimizer.__setstate__(state)
    optimizer.__dict__.update(own)
