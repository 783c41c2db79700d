import logging
import threading

import pytest

from doorbell.outputs.worker import Worker


def test_items_are_done_in_order_on_the_named_thread() -> None:
    done: list[tuple[int, str]] = []
    worker = Worker[int](
        "bell", lambda item: done.append((item, threading.current_thread().name)), capacity=8
    )
    for item in range(5):
        worker.submit(item)
    assert worker.close(5.0)
    assert done == [(item, "bell") for item in range(5)]


def test_a_full_queue_drops_the_oldest_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    started, release = threading.Event(), threading.Event()
    done: list[int] = []

    def work(item: int) -> None:
        started.set()
        release.wait(5.0)
        done.append(item)

    worker = Worker[int]("bell", work, capacity=2)
    with caplog.at_level(logging.WARNING):
        worker.submit(0)
        assert started.wait(5.0)
        for item in range(1, 6):
            worker.submit(item)
    release.set()
    assert worker.close(5.0)
    assert done == [0, 4, 5]
    assert [record.message for record in caplog.records] == [
        "bell is too slow: 2 are waiting, the oldest are dropped"
    ]


def test_what_must_be_done_is_never_dropped_and_keeps_its_place() -> None:
    started, release = threading.Event(), threading.Event()
    done: list[int | str] = []

    def work(item: int | str) -> None:
        started.set()
        release.wait(5.0)
        done.append(item)

    worker = Worker[int | str]("bell", work, capacity=2, must_be_done=(str,))
    worker.submit(0)
    assert started.wait(5.0)
    for item in ("a", 1, "b", "c", 2, 3, "d", 4):
        worker.submit(item)
    release.set()
    assert worker.close(5.0)
    assert done == [0, "a", "b", "c", 3, "d", 4]


def test_close_is_bounded_and_later_items_are_ignored() -> None:
    started, release = threading.Event(), threading.Event()
    done: list[int] = []

    def work(item: int) -> None:
        started.set()
        release.wait(5.0)
        done.append(item)

    worker = Worker[int]("bell", work, capacity=8)
    worker.submit(1)
    worker.submit(2)
    assert started.wait(5.0)
    assert not worker.close(0.05)
    worker.submit(3)
    release.set()
    assert worker.close(5.0)
    assert done == [1]
