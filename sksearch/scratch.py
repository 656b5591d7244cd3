"""Folders that live no longer than their search, even if it is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from joblib.externals.loky.backend import resource_tracker

_ATTEMPTS = 50


def make_folder(where: str | None = None) -> str:
    """A new folder, in `where` or in the place that joblib is told by JOBLIB_TEMP_FOLDER.

    It is registered with joblib's resource tracker, a process of its own that removes it when this
    process ends in any way.
    """
    where = where or os.environ.get("JOBLIB_TEMP_FOLDER")
    if where is not None:
        Path(where).mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="sksearch-", dir=where)
    try:
        resource_tracker.register(folder, "folder")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def remove_folder(folder: str) -> None:
    """Remove the folder; harmless if it was removed before.

    It is renamed first, so that a fit which still runs finds no folder to save into. Where it cannot
    be removed (on Windows a mapped file cannot), or this is interrupted, it is left to the resource tracker.
    """
    gone = f"{folder}-removed"
    if Path(folder).exists():
        resource_tracker.register(gone, "folder")  # first: somebody is to know it at any time
    elif not Path(gone).exists():
        return
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(OSError):
            Path(folder).rename(gone)
            resource_tracker.unregister(folder, "folder")
        shutil.rmtree(gone, ignore_errors=True)
        if not Path(folder).exists() and not Path(gone).exists():
            break
        time.sleep(0.002)
    if not Path(gone).exists():
        with contextlib.suppress(OSError):
            resource_tracker.unregister(gone, "folder")
