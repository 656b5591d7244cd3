"""Where paused models wait: a folder with one file per trial and fold.

Workers of other processes save and load by themselves; only the folder's name travels between them. What a model keeps
of its training fold lies in a file of its own: models that keep the same share it by hard links.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, TracebackType
from typing import IO, Any, Self

from sksearch.nets import reduced
from sksearch.scratch import make_folder, remove_folder

try:  # a requirement of joblib since 1.6
    import cloudpickle
except ImportError:  # until then joblib carried its own copy
    from joblib.externals import cloudpickle


KEPT_FOLD = "_kept_fold"
"""Attribute of a model: what the steps before it made of its training fold, large and often equal for many trials."""


class _ByName(pickle.Pickler):
    """Classes and functions go by name, so a model comes back with the very ones that it had."""

    def reducer_override(self, obj: Any) -> Any:
        return reduced(obj) or NotImplemented


class _ByValue(cloudpickle.CloudPickler):  # type: ignore[misc]  # cloudpickle is untyped
    """As joblib's loky sends models: functions and classes of a notebook's __main__ go by value.

    The standard pickle refuses them (a lambda) or cannot find them in another process (a class). What this process
    finds by name goes by name here, too: read back, a class would be changed, its methods copies that see no later
    definitions.
    """

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, FunctionType)) and _is_found(obj):
            return NotImplemented
        return reduced(obj) or super().reducer_override(obj)


def _is_found(obj: type | FunctionType) -> bool:
    """Whether its module has it under its name, as the standard pickle would look for it."""
    found: Any = sys.modules.get(obj.__module__)
    for name in obj.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is obj


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
        part = Path(name)
        attributes = getattr(model, "__dict__", {})
        kept = attributes.pop(KEPT_FOLD, None)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _dump((trained, kept is not None, model), file)
            if kept is not None:
                self._share(kept, Path(f"{name}.fold"), path.with_suffix(".fold"))
            with contextlib.suppress(FileNotFoundError):
                part.replace(path)
        except BaseException:
            for left in (part, Path(f"{name}.fold"), Path(f"{name}.link")):
                left.unlink(missing_ok=True)
            self._drop_unused()
            raise
        finally:
            if kept is not None:
                attributes[KEPT_FOLD] = kept

    def _share(self, kept: Any, part: Path, path: Path) -> None:
        """Have `path` hold `kept`, written to `part`: as another name of a file with this content if there is one."""
        try:
            file = part.open("w+b")
        except FileNotFoundError:  # closed
            return
        with file:
            _dump(kept, file)
            file.seek(0)
            content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        shared, link = Path(self.folder) / f"{content}.shared", part.with_suffix(".link")
        with contextlib.suppress(OSError):  # a file system without links, or closed
            try:
                shared.hardlink_to(part)
            except FileExistsError:
                link.hardlink_to(shared)
                link.replace(part)
        with contextlib.suppress(FileNotFoundError):
            part.replace(path)
        part.unlink(missing_ok=True)  # replacing a name of the same file leaves both

    def load(self, trial: int, fold: int) -> tuple[Any, int]:
        """The model kept for a fold of a trial, and its units of resource; (None, 0) if there is none."""
        path = self._path(trial, fold)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None, 0
        with file:
            trained, has_fold, model = pickle.load(file)  # noqa: S301 - written by this search, in its own folder
        if has_fold:
            try:
                file = path.with_suffix(".fold").open("rb")
            except FileNotFoundError:
                return None, 0
            with file:
                setattr(model, KEPT_FOLD, pickle.load(file))  # noqa: S301 - as above
        return model, trained

    def discard(self, trial: int, fold: int) -> None:
        """Drop the model of a trial that will not go on; harmless if there is none.

        On Windows a file that is still being read stays; it goes with the folder.
        """
        path = self._path(trial, fold)
        with contextlib.suppress(FileNotFoundError, PermissionError):
            path.unlink()
        with contextlib.suppress(FileNotFoundError, PermissionError):
            path.with_suffix(".fold").unlink()
            self._drop_unused()

    def _drop_unused(self) -> None:
        """Drop shared files that no model has any more."""
        for shared in Path(self.folder).glob("*.shared"):
            with contextlib.suppress(FileNotFoundError, PermissionError):
                if shared.stat().st_nlink == 1:
                    shared.unlink()

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
