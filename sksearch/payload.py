"""One object, written once, read by all worker processes of this machine.

Sending the data with every fit costs a pickle of it each time; here it is pickled once into a file
of its own, and a worker process loads it the first time it meets the handle. Buffers over 1 MB are
kept apart (pickle protocol 5, PEP 574) and mapped into memory, read-only, so all workers share
them: the same size and the same rule as joblib's own memory maps, and the same settings change them.
"""

from __future__ import annotations

import atexit
import gc
import mmap
import os
import pickle
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from sksearch.scratch import make_folder, remove_folder

try:  # a requirement of joblib since 1.6
    import cloudpickle
except ImportError:  # until then joblib carried its own copy
    from joblib.externals import cloudpickle

Reducer: TypeAlias = Callable[[Any], Any]
"""What `__reduce__` of an object would give; None for the usual."""

_ACCESS = {"r": mmap.ACCESS_READ, "c": mmap.ACCESS_COPY, "r+": mmap.ACCESS_WRITE, "w+": mmap.ACCESS_WRITE}
_ALIGNMENT = 64
_FORGET_SECONDS = 0.5

_loaded: dict[str, Callable[..., Any]] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class PayloadHandle:
    """Calls the object of a `SharedPayload`, in any process of the machine."""

    folder: str
    owner: int
    """Number of the process that stored it."""

    def __call__(self, *args: Any) -> Any:
        """Call the object, after loading it if this process has not yet."""
        elsewhere = os.getpid() != self.owner
        if self.folder not in _loaded and elsewhere:
            _spare_the_collector()
        target = _load(self.folder)
        try:
            return target(*args)
        except Exception as error:
            if elsewhere and not _travels(error):  # the worker would die of it, or whoever receives it
                raise RuntimeError(f"raised where it cannot be sent from:\n{traceback.format_exc()}") from None
            raise


class SharedPayload:
    """The owner of the file: a callable, stored until `close`.

    Parameters
    ----------
    target : callable
        What to store.
    mapped_bytes : int or None
        Buffers of at least so many bytes are mapped, smaller ones are copied; None maps nothing.
    mmap_mode : {"r", "r+", "w+", "c", None}
        How they are mapped, as in `joblib.Parallel`.
    folder : str or None
        Where to put the file.
    reduce : callable or None
        How to pickle an object, where it is not the usual way; None for the usual way.
    """

    def __init__(
        self,
        target: Callable[..., Any],
        *,
        mapped_bytes: int | None = 1_000_000,
        mmap_mode: str | None = "r",
        folder: str | None = None,
        reduce: Reducer | None = None,
    ) -> None:
        self.folder = make_folder(folder)
        self.handle = PayloadHandle(self.folder, os.getpid())
        try:
            access = _ACCESS.get(mmap_mode or "r")
            _dump(target, Path(self.folder), mapped_bytes if mmap_mode else None, access, reduce)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the file; workers forget the object soon after."""
        remove_folder(self.folder)


class _Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]  # cloudpickle is untyped
    """cloudpickle, as joblib's loky: estimators, scorers and functions of a notebook live in __main__."""

    reduce: Reducer = staticmethod(lambda _: None)

    def reducer_override(self, obj: Any) -> Any:
        """How to pickle `obj`."""
        reduced = self.reduce(obj)
        return super().reducer_override(obj) if reduced is None else reduced


def _dump(target: Any, folder: Path, mapped_bytes: int | None, access: int | None, reduce: Reducer | None) -> None:
    """Write `target` to `folder`: the pickle, and the large buffers one after the other."""
    large: list[pickle.PickleBuffer] = []

    def keep_in_pickle(buffer: pickle.PickleBuffer) -> bool:
        if mapped_bytes is None or buffer.raw().nbytes < mapped_bytes:
            return True
        large.append(buffer)
        return False

    with (folder / "object").open("wb") as file:
        pickler = _Pickler(file, protocol=5, buffer_callback=keep_in_pickle)
        if reduce is not None:
            pickler.reduce = reduce
        pickler.dump(target)
    spans: list[tuple[int, int]] = []
    with (folder / "buffers").open("wb") as file:
        for buffer in large:
            file.write(b"\0" * (-file.tell() % _ALIGNMENT))
            start = file.tell()
            file.write(buffer.raw())
            spans.append((start, file.tell()))
    (folder / "spans").write_bytes(pickle.dumps((access, spans)))


def _travels(error: Exception) -> bool:
    """Whether an exception comes back from a pickle; not if its `__init__` takes other arguments than it hands on."""
    try:
        pickle.loads(cloudpickle.dumps(error))  # noqa: S301 - pickled here
    except Exception:  # noqa: BLE001 - whatever its own pickling raises
        return False
    return True


def _spare_the_collector() -> None:
    """In a worker process: leave what is there, modules mostly, out of garbage collections.

    Loky's workers collect garbage once a second, which takes 50 ms with scikit-learn loaded: a
    twentieth of the worker's time. When the process ends, extension modules count what is left (nanobind, within
    torch, prints it), so it is taken back then.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


def _load(folder: str) -> Callable[..., Any]:
    """The object stored in `folder`; it is kept until the folder is removed."""
    with _lock:
        if folder in _loaded:
            return _loaded[folder]
        path = Path(folder)
        access, spans = pickle.loads((path / "spans").read_bytes())  # noqa: S301 - written by this search, in its own folder
        buffers: list[memoryview] = []
        if spans:
            with (path / "buffers").open("r+b") as file:
                mapped = memoryview(mmap.mmap(file.fileno(), 0, access=access))
            buffers = [mapped[start:stop] for start, stop in spans]
        with (path / "object").open("rb") as file:
            target: Callable[..., Any] = pickle.load(file, buffers=buffers)  # noqa: S301 - as above
        _loaded[folder] = target
        threading.Thread(target=_forget_when_removed, args=(folder,), daemon=True).start()
        return target


def _forget_when_removed(folder: str) -> None:
    """Drop the object once its search has ended: joblib keeps its workers for later calls."""
    waiting = threading.Event()
    while Path(folder).exists():
        waiting.wait(_FORGET_SECONDS)
    with _lock:
        _loaded.pop(folder, None)
