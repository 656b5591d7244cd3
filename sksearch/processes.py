"""What joblib's pool of `multiprocessing` does not do: tell of a worker that died, and end for certain.

`multiprocessing.Pool` puts a new worker in the place of one that died, and says nothing of the work that
went with it: whoever waits for that waits for ever. A worker that is killed with the lock of a queue in its
hands leaves `Pool.terminate` waiting for ever.
"""

from __future__ import annotations

from typing import Any

_SECONDS_TO_END = 5.0


def workers_of(pool: Any) -> frozenset[int]:
    """The processes of the pool that live: others when one of them has died, and when it is replaced."""
    return frozenset(worker.pid for worker in list(pool._pool) if worker.exitcode is None)


def end_workers(pool: Any) -> None:
    """End the workers, none of them while it sends a result, and leave both queues unlocked."""
    handler = pool._worker_handler  # first, lest it start others
    handler._state = "TERMINATE"
    pool._change_notifier.put(None)
    handler.join()
    sends = pool._outqueue._wlock  # None on Windows, where writing needs none
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
    for lock in (pool._inqueue._rlock, sends):
        if lock is not None:  # whoever held it is gone
            lock.acquire(block=False)
            lock.release()
