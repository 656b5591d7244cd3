"""One object, written once, read by all worker processes of this machine.

Sending the data with every fit costs a pickle of it each time; here it is pickled once into a file
of its own, and a worker process loads it the first time it meets the handle. Buffers over 1 MB are
kept apart (pickle protocol 5, PEP 574) and mapped into memory, read-only, so all workers share
them: the same size and the same rule as joblib's own memory maps.
"""

from __future__ import annotations

import mmap
import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from sksearch.scratch import make_folder, remove_folder

try:  # a requirement of joblib since 1.6
    import cloudpickle
except ImportError:  # until then joblib carried its own copy
    from joblib.externals import cloudpickle

MAPPED_BYTES = 1_000_000
"""Buffers of at least this many bytes are mapped, smaller ones are copied (`max_nbytes="1M"` of joblib)."""

_ALIGNMENT = 64
_FORGET_SECONDS = 0.5

_Loaded: TypeAlias = tuple[str, Callable[..., Any]]
_loaded: _Loaded | None = None
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class PayloadHandle:
    """Calls the object of a `SharedPayload`, in any process of the machine."""

    folder: str

    def __call__(self, *args: Any) -> Any:
        """Call the object, after loading it if this process has not yet."""
        return _load(self.folder)(*args)


class SharedPayload:
    """The owner of the file: a callable, stored until `close`."""

    def __init__(self, target: Callable[..., Any]) -> None:
        self.folder = make_folder()
        self.handle = PayloadHandle(self.folder)
        try:
            _dump(target, Path(self.folder))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the file; workers forget the object soon after."""
        remove_folder(self.folder)


def _dump(target: Any, folder: Path) -> None:
    """Write `target` to `folder`: the pickle, and the large buffers one after the other."""
    large: list[pickle.PickleBuffer] = []

    def keep_in_pickle(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < MAPPED_BYTES:
            return True
        large.append(buffer)
        return False

    # cloudpickle, as joblib's loky: estimators, scorers and functions of a notebook live in __main__.
    with (folder / "object").open("wb") as file:
        cloudpickle.CloudPickler(file, protocol=5, buffer_callback=keep_in_pickle).dump(target)
    spans: list[tuple[int, int]] = []
    with (folder / "buffers").open("wb") as file:
        for buffer in large:
            file.write(b"\0" * (-file.tell() % _ALIGNMENT))
            start = file.tell()
            file.write(buffer.raw())
            spans.append((start, file.tell()))
    (folder / "spans").write_bytes(pickle.dumps(spans))


def _load(folder: str) -> Callable[..., Any]:
    """The object stored in `folder`; the last one loaded is kept."""
    global _loaded  # noqa: PLW0603 - one cache for each worker process is the point
    with _lock:
        if _loaded is not None and _loaded[0] == folder:
            return _loaded[1]
        path = Path(folder)
        spans = pickle.loads((path / "spans").read_bytes())  # noqa: S301 - written by this search, in its own folder
        buffers: list[memoryview] = []
        if spans:
            with (path / "buffers").open("rb") as file:
                mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            buffers = [mapped[start:stop] for start, stop in spans]
        with (path / "object").open("rb") as file:
            target: Callable[..., Any] = pickle.load(file, buffers=buffers)  # noqa: S301 - as above
        _loaded = (folder, target)
        threading.Thread(target=_forget_when_removed, args=(folder,), daemon=True).start()
        return target


def _forget_when_removed(folder: str) -> None:
    """Drop the object once its search has ended: joblib keeps its workers for later calls."""
    global _loaded  # noqa: PLW0603 - as in _load
    waiting = threading.Event()
    while Path(folder).exists():
        waiting.wait(_FORGET_SECONDS)
    with _lock:
        if _loaded is not None and _loaded[0] == folder:
            _loaded = None
