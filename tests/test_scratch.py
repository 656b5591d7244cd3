"""Nothing of a search is left on disk: not when it returns, raises, or is killed."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sksearch import scratch
from sksearch.execution import JobPool, reduce_memory_map
from sksearch.payload import SharedPayload
from sksearch.scratch import make_folder, remove_folder
from sksearch.spool import Spool


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


@pytest.mark.parametrize("end", ["SIGINT", "SIGKILL"])
def test_a_folder_half_removed_goes_with_the_process(tmp_path: Path, end: str) -> None:
    code = f"""
    import os, shutil, signal
    from pathlib import Path
    from sksearch.scratch import make_folder, remove_folder
    folder = make_folder()
    (Path(folder) / "file").write_text("x")
    remove = shutil.rmtree
    def interrupted(*arguments, **keywords):
        os.kill(os.getpid(), signal.{end})
        remove(*arguments, **keywords)
    shutil.rmtree = interrupted
    remove_folder(folder)
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        stderr=subprocess.DEVNULL,
        env={"JOBLIB_TEMP_FOLDER": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))},
        check=False,
    )
    assert process.returncode == -getattr(signal, end)
    deadline = time.monotonic() + 10
    while list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


def test_removing_twice_says_nothing(tmp_path: Path) -> None:
    """The tracker complains of what it does not know."""
    code = """
    from sksearch.scratch import make_folder, remove_folder
    folder = make_folder()
    remove_folder(folder)
    remove_folder(folder)
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={"JOBLIB_TEMP_FOLDER": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))},
        check=True,
    )
    assert process.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_cannot_be_pickled_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    with (tmp_path / "open").open("w") as file, pytest.raises(pickle.PicklingError):
        SharedPayload(lambda: file)
    assert [path.name for path in tmp_path.iterdir()] == ["open"]


def _pressed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_while_a_folder_is_made_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    monkeypatch.setattr(scratch.resource_tracker, "register", _pressed)  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        make_folder()
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_a_pool_is_opened_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    monkeypatch.setattr(JobPool, "_some_died", _pressed)
    with pytest.raises(KeyboardInterrupt), JobPool(print, n_jobs=2):  # type: ignore[arg-type]
        pass
    assert list(tmp_path.glob("sksearch-*")) == []


def test_what_a_worker_spares_the_collector_is_given_back_when_it_ends() -> None:
    """nanobind prints what is left of its modules' classes then, some fifty lines of torch's."""
    code = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count()))  # the first that is registered is called last
from sksearch.payload import _spare_the_collector
_spare_the_collector()
assert gc.get_freeze_count()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "0\n"


def test_a_folder_that_is_missing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path / "not" / "there"))
    folder = make_folder()
    assert Path(folder).parent == tmp_path / "not" / "there"
    remove_folder(folder)
    assert list((tmp_path / "not" / "there").iterdir()) == []


def test_a_fit_that_saves_while_the_search_ends_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    for _ in range(20):
        spool, stop = Spool(), threading.Event()

        def keep_saving(spool: Spool = spool, stop: threading.Event = stop) -> None:
            number = 0
            while not stop.is_set():
                spool.save(number, 0, list(range(3000)), 1)
                number += 1

        savers = [threading.Thread(target=keep_saving) for _ in range(4)]
        for saver in savers:
            saver.start()
        time.sleep(0.005)
        spool.close()
        stop.set()
        for saver in savers:
            saver.join()
        assert list(tmp_path.iterdir()) == []


def test_two_payloads_are_loaded_once_each_by_a_process_that_uses_both_in_turn() -> None:
    first, second = SharedPayload(Loaded()), SharedPayload(Loaded())
    before = threading.active_count()
    numbers = [(first.handle(), second.handle()) for _ in range(5)]
    assert len(set(numbers)) == 1
    assert threading.active_count() <= before + 2
    first.close()
    second.close()


class Loaded:
    """Says which object of this process it is."""

    def __call__(self) -> int:
        return id(self)


class Holding:
    """A callable that holds an array and tells of it."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __call__(self) -> tuple[float, bool]:
        return float(self.data.sum()), bool(self.data.flags.writeable)


@pytest.mark.parametrize(
    ("settings", "writeable"),
    [({}, False), ({"mapped_bytes": None}, True), ({"mmap_mode": "c"}, True), ({"mmap_mode": None}, True)],
)
def test_joblibs_settings_of_memory_maps_are_kept(settings: dict[str, Any], writeable: bool) -> None:
    payload = SharedPayload(Holding(np.ones(200_000)), **settings)
    assert payload.handle() == (200_000.0, writeable)
    payload.close()


def test_a_memory_map_is_sent_by_the_name_of_its_file(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "rows", dtype=np.float64, mode="w+", shape=(500_000,))
    mapped[:] = 1.0
    payload = SharedPayload(Holding(mapped[100:]), reduce=reduce_memory_map)
    assert sum(path.stat().st_size for path in Path(payload.folder).iterdir()) < 10_000
    assert payload.handle()[0] == 499_900.0
    payload.close()
