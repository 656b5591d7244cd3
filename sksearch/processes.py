"""What joblib's pools of processes do not do: end for certain, and, `multiprocessing`'s, tell of a worker that died.

`multiprocessing.Pool` puts a new worker in the place of one that died, and says nothing of the work that
went with it: whoever waits for that waits for ever. A worker that is killed with the lock of a queue in its
hands, or with half a message, leaves `Pool.terminate` waiting for ever.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joblib.externals.loky.backend.utils import kill_process_tree

_SECONDS_TO_END = 5.0
_SECONDS_TO_TAKE_OVER = 0.5
_CHUNK = 1 << 20


@contextmanager
def ended_by_loky(executor: Any) -> Iterator[None]:
    """Within the block loky may be told to kill its workers, and after it they are ended.

    Loky's manager thread kills them. It dies of a KeyError if it is told to before it took over the last unit. Where
    Ctrl-C came before there is such a thread, nobody else would: they would wait for work for five minutes, and this
    process, at its end, for them.
    """
    deadline = time.monotonic() + _SECONDS_TO_TAKE_OVER
    left = list(executor._processes.values()) if executor._executor_manager_thread is None else []
    while not left and not executor._work_ids.empty() and time.monotonic() < deadline:
        time.sleep(0.001)
    try:
        yield
    finally:
        for process in left:
            try:
                kill_process_tree(process)
            except Exception:  # noqa: BLE001 - it asks a program of the system for children, and has none to fall back on
                with contextlib.suppress(OSError):
                    os.kill(process.pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)


def some_died(pool: Any, workers: set[Any]) -> bool:
    """Whether one of the workers died; to `workers` those are added that came since the last call.

    With `maxtasksperchild` workers retire, and end without an error. The thread that receives results dies of
    one that cannot be unpickled, and with it whatever is under way.
    """
    workers.update(list(pool._pool))
    ended = {worker for worker in workers if worker.exitcode is not None}
    if pool._maxtasksperchild is not None:
        retired = {worker for worker in ended if worker.exitcode == 0}
        workers -= retired
        ended -= retired
    return bool(ended) or not pool._result_handler.is_alive()


def end_workers(pool: Any) -> None:
    """End the workers, whatever they are at, and what would wait for them: locks, half messages, threads."""
    handler, tasks = pool._worker_handler, pool._task_handler
    for thread in (handler, tasks):
        thread._state = "TERMINATE"
    pool._change_notifier.put(None)
    handler.join()  # first, lest it start others
    for worker in pool._pool:
        worker.terminate()
    deadline = time.monotonic() + _SECONDS_TO_END
    for worker in pool._pool:
        worker.join(max(0.0, deadline - time.monotonic()))
        if worker.is_alive():  # the signal was caught
            worker.kill()
            worker.join()
    for lock in (pool._inqueue._rlock, pool._outqueue._wlock):  # the latter None on Windows: writing needs none
        if lock is not None:  # whoever held it is gone
            lock.acquire(block=False)
            lock.release()
    _drain(pool)
    _end_results(pool)


def _end_results(pool: Any) -> None:
    """Let the thread that receives results come to an end, also where half a result keeps it waiting for the rest.

    It reads to the end of the pipe then, which is there once nobody can write: this process writes to nowhere.
    """
    results = pool._result_handler
    results._state = "TERMINATE"
    if results.is_alive():
        pool._outqueue.put(None)  # it looks at its state when something comes
    results.join(1.0)
    if results.is_alive() and os.name != "nt":
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, pool._outqueue._writer.fileno(), inheritable=False)
        os.close(nowhere)
        results.join(_SECONDS_TO_END)
    pool._cache.clear()  # `Pool.terminate` takes it for an error of its own that somebody waits for results


def _drain(pool: Any) -> None:
    """Take what is left in the pipes until nobody sends any more: it may start in the middle of a message."""
    tasks, results = pool._inqueue._reader, pool._outqueue._reader
    while os.name != "nt" and (pool._task_handler.is_alive() or tasks.poll()):
        for reader in (tasks,) if pool._result_handler.is_alive() else (tasks, results):
            if reader.poll(0.01):
                os.read(reader.fileno(), _CHUNK)
