"""Nothing of a search is left on disk: not when it returns, raises, or is killed."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from sksearch.payload import SharedPayload
from sksearch.scratch import make_folder, remove_folder


def test_a_folder_is_made_and_removed_and_removing_twice_is_harmless() -> None:
    folder = make_folder()
    (Path(folder) / "file").write_text("x")
    remove_folder(folder)
    remove_folder(folder)
    assert not Path(folder).exists()


def test_a_killed_process_leaves_no_folder(tmp_path: Path) -> None:
    code = """
    import time
    from sksearch.scratch import make_folder
    print(make_folder(), flush=True)
    time.sleep(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"JOBLIB_TEMP_FOLDER": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert folder.parent == tmp_path
    assert folder.exists()
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()


def test_an_object_that_cannot_be_pickled_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    with (tmp_path / "open").open("w") as file, pytest.raises(pickle.PicklingError):
        SharedPayload(lambda: file)
    assert [path.name for path in tmp_path.iterdir()] == ["open"]
