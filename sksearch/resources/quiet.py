"""Warnings that say nothing while a model grows."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ignored(category: type[Warning], message: str = "") -> Iterator[None]:
    """Within the block warnings of this kind that begin so are not shown.

    But in threads, where filters of warnings that end out of order stay behind.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message, category)
        yield


def is_fatal(category: type[Warning]) -> bool:
    """Whether such warnings are errors, by the first filter for all of them.

    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     warnings.simplefilter("error", UserWarning)
    ...     warnings.filterwarnings("error", message="invalid value")
    ...     is_fatal(UserWarning), is_fatal(DeprecationWarning)
    (True, False)
    """
    actions = (
        action
        for action, message, kind, module, _ in warnings.filters
        if issubclass(category, kind) and message is None and module is None
    )
    return next(actions, "default") == "error"
