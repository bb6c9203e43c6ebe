"""The same thing done to several hosts at once."""

import threading
from collections.abc import Callable, Iterable


def side_by_side(calls: Iterable[Callable[[], object]]) -> None:
    """Makes all calls, each in a thread of its own; the first failure is raised when all have ended."""
    failures: list[Exception] = []

    def one(call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 (raised below)
            failures.append(error)

    threads = [threading.Thread(target=one, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
