"""Where paused models wait: a folder with one file per trial and fold.

Workers of other processes save and load by themselves; only the folder's name travels between them.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from sksearch.nets import is_net, reduce_net
from sksearch.scratch import make_folder, remove_folder

try:  # a requirement of joblib since 1.6
    import cloudpickle
except ImportError:  # until then joblib carried its own copy
    from joblib.externals import cloudpickle


class _ByName(pickle.Pickler):
    """Classes and functions go by name, so a model comes back with the very ones that it had."""

    def reducer_override(self, obj: Any) -> Any:
        return reduce_net(obj) if is_net(obj) else NotImplemented


class _ByValue(cloudpickle.CloudPickler):  # type: ignore[misc]  # cloudpickle is untyped
    """As joblib's loky sends models: functions and classes of a notebook's __main__ go by value.

    The standard pickle refuses them (a lambda) or cannot find them in another process (a class). Read back in the
    process that has the class they would change it: its methods become copies that see no later definitions.
    """

    def reducer_override(self, obj: Any) -> Any:
        return reduce_net(obj) if is_net(obj) else super().reducer_override(obj)


def _dump(obj: Any, file: IO[bytes]) -> None:
    """By name where that is possible, else by value."""
    try:
        _ByName(file, protocol=5).dump(obj)
    except Exception:  # noqa: BLE001 - whatever the pickling of its parts raises
        file.seek(0)
        file.truncate()
        _ByValue(file, protocol=5).dump(obj)


@dataclass(frozen=True, slots=True)
class Spool:
    """A folder of paused models.

    The one who makes it closes it, best in a `with` block; a pickled copy is a handle to the same
    folder and leaves it alone.

    >>> with Spool() as spool:
    ...     spool.save(0, 4, {"a": "model"}, trained=3)
    ...     spool.load(0, 4), spool.load(1, 4)
    (({'a': 'model'}, 3), (None, 0))
    """

    folder: str = field(default_factory=make_folder)
    """Made by the first owner."""

    def save(self, trial: int, fold: int, model: Any, trained: int) -> None:
        """Keep `model`, which has had `trained` units of resource, in place of an earlier one.

        Readers see the old file or the new one, never half of one. Nothing is saved any more once
        the spool is closed: a fit that ends after its search has nobody to go on for.
        """
        path = self._path(trial, fold)
        try:
            descriptor, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
        except FileNotFoundError:
            return
        try:
            with os.fdopen(descriptor, "wb") as file:
                _dump((trained, model), file)
            with contextlib.suppress(FileNotFoundError):
                Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def load(self, trial: int, fold: int) -> tuple[Any, int]:
        """The model kept for a fold of a trial, and its units of resource; (None, 0) if there is none."""
        try:
            with self._path(trial, fold).open("rb") as file:
                trained, model = pickle.load(file)  # noqa: S301 - written by this search, in its own folder
        except FileNotFoundError:
            return None, 0
        return model, trained

    def discard(self, trial: int, fold: int) -> None:
        """Drop the model of a trial that will not go on; harmless if there is none.

        On Windows a file that is still being read stays; it goes with the folder.
        """
        with contextlib.suppress(FileNotFoundError, PermissionError):
            self._path(trial, fold).unlink()

    def close(self) -> None:
        """Remove the folder and all models; closing twice is harmless."""
        remove_folder(self.folder)

    def _path(self, trial: int, fold: int) -> Path:
        return Path(self.folder) / f"trial-{trial}-fold-{fold}.pkl"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
