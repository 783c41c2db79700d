"""One named thread behind a bounded queue, for outputs that are slow.

An exception out of ``work`` ends the thread and reaches ``threading.excepthook``: whoever expects a
fault deals with it in ``work``.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

log = logging.getLogger(__name__)


class Worker(Generic[Item]):
    """Does slow work elsewhere; the newest items matter most.

    Args:
        name: of the thread, and of the output in warnings.
        work: called with one item at a time.
        capacity: items that may wait; one more drops the oldest, with one warning until the queue
            has been empty again.
        must_be_done: kinds of items that are never dropped, however many wait.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Item], None],
        *,
        capacity: int,
        must_be_done: tuple[type, ...] = (),
    ) -> None:
        self._name = name
        self._work = work
        self._capacity = capacity
        self._must_be_done = must_be_done
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._dropping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> None:
        """Queue an item; never waits. After ``close`` it is ignored."""
        with self._changed:
            if self._closing:
                return
            self._items.append(item)
            self._bound()
            self._changed.notify()

    def close(self, timeout_seconds: float) -> bool:
        """Take no more, finish what is queued, and wait at most that long; idempotent.

        Returns:
            Whether the thread has ended. If not, what is queued is dropped and the thread ends
            once the item in hand is done.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_seconds)
        with self._changed:
            self._items.clear()
        return not self._thread.is_alive()

    def _bound(self) -> None:
        may_go = [
            place
            for place, waiting in enumerate(self._items)
            if not isinstance(waiting, self._must_be_done)
        ]
        if len(may_go) <= self._capacity:
            return
        if not self._dropping:
            self._dropping = True
            log.warning(
                "%s is too slow: %d are waiting, the oldest are dropped", self._name, self._capacity
            )
        del self._items[may_go[0]]

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._items:
                    self._dropping = False
                    if self._closing:
                        return
                    self._changed.wait()
                item = self._items.popleft()
            self._work(item)
