"""What joblib's pool of `multiprocessing` does not do: tell of a worker that died, and end for certain.

`multiprocessing.Pool` puts a new worker in the place of one that died, and says nothing of the work that
went with it: whoever waits for that waits for ever. A worker that is killed with the lock of a queue in its
hands, or with half a message, leaves `Pool.terminate` waiting for ever.
"""

from __future__ import annotations

import os
from typing import Any

_SECONDS_TO_END = 5.0
_CHUNK = 1 << 20


def some_died(pool: Any, workers: set[Any]) -> bool:
    """Whether one of the workers died; to `workers` those are added that came since the last call.

    With `maxtasksperchild` workers retire, and end without an error.
    """
    workers.update(list(pool._pool))
    ended = {worker for worker in workers if worker.exitcode is not None}
    if pool._maxtasksperchild is not None:
        retired = {worker for worker in ended if worker.exitcode == 0}
        workers -= retired
        ended -= retired
    return bool(ended)


def end_workers(pool: Any) -> None:
    """End the workers, none of them while it takes a task or sends a result, and leave both queues unlocked."""
    handler, tasks = pool._worker_handler, pool._task_handler
    for thread in (handler, tasks):
        thread._state = "TERMINATE"
    pool._change_notifier.put(None)
    handler.join()  # first, lest it start others
    receives, sends = pool._inqueue._rlock, pool._outqueue._wlock  # the latter None on Windows: writing needs none
    receives.acquire(timeout=1.0)  # idle ones have been told to go, and let it go
    for worker in pool._pool:
        held = sends is not None and sends.acquire(timeout=1.0)
        worker.terminate()
        if held:
            sends.release()
    for worker in pool._pool:
        worker.join(_SECONDS_TO_END)
        if worker.is_alive():  # the signal was caught
            worker.kill()
            worker.join()
    _drain(pool._inqueue._reader, tasks)
    for lock in (receives, sends):
        if lock is not None:  # whoever held it is gone
            lock.acquire(block=False)
            lock.release()


def _drain(reader: Any, sender: Any) -> None:
    """Take what is left in the pipe until nobody sends any more: it may start in the middle of a message."""
    while os.name != "nt" and (sender.is_alive() or reader.poll()):
        if reader.poll(0.01):
            os.read(reader.fileno(), _CHUNK)
