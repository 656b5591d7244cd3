"""Folders that live no longer than their search, even if it is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile

from joblib.externals.loky.backend import resource_tracker


def make_folder() -> str:
    """A new folder, where joblib puts its own when it is told where.

    It is registered with joblib's resource tracker, a process of its own that removes it when this
    process ends in any way.
    """
    folder = tempfile.mkdtemp(prefix="sksearch-", dir=os.environ.get("JOBLIB_TEMP_FOLDER"))
    resource_tracker.register(folder, "folder")
    return folder


def remove_folder(folder: str) -> None:
    """Remove the folder; harmless if it was removed before."""
    if os.path.isdir(folder):  # noqa: PTH112 - the tracker knows it by its string
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            resource_tracker.unregister(folder, "folder")
