import threading
from itertools import count

import numpy as np
import pytest

from doorbell.pipeline.latency import KEPT, Latency, Stage, Stopwatch, describe


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_percentiles_in_milliseconds() -> None:
    latency = Latency()
    for milliseconds in range(1, 101):
        latency.add(Stage.DETECT, milliseconds / 1000)
    [(stage, took)] = latency.take().items()
    assert (stage, took.count) == (Stage.DETECT, 100)
    assert took.p50_ms == pytest.approx(50.5, abs=0.01)
    assert took.p95_ms == pytest.approx(95.05, abs=0.01)
    assert took.p99_ms == pytest.approx(99.01, abs=0.01)


def test_each_answer_is_about_what_came_since_the_last() -> None:
    latency = Latency()
    latency.add(Stage.EMBED, 1.0)
    assert latency.take()[Stage.EMBED].p50_ms == pytest.approx(1000)
    assert latency.take() == {}
    latency.add(Stage.EMBED, 0.002)
    assert latency.take()[Stage.EMBED].p99_ms == pytest.approx(2)


def test_the_newest_are_kept_and_all_are_counted() -> None:
    latency = Latency()
    for seconds in (*np.full(KEPT, 9.0), *np.full(KEPT, 1.0)):
        latency.add(Stage.FRAME, float(seconds))
    took = latency.take()[Stage.FRAME]
    assert (took.p50_ms, took.p99_ms, took.count) == (1000, 1000, 2 * KEPT)


def test_a_clock_that_was_set_back_counts_as_no_time() -> None:
    latency = Latency()
    latency.add(Stage.CAPTURE, -3600.0)
    assert latency.take()[Stage.CAPTURE].p50_ms == 0.0


def test_threads_lose_nothing() -> None:
    latency = Latency()

    def add() -> None:
        for _ in range(2000):
            latency.add(Stage.PUBLISH, 0.001)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert latency.take()[Stage.PUBLISH].count == 8000


def test_laps_of_a_stage_add_up_within_a_frame() -> None:
    latency, clock = Latency(), Clock()
    stopwatch = Stopwatch(latency, clock)
    for _ in range(2):
        clock.now += 5.0  # between frames: nobody's
        stopwatch.start()
        for stage, seconds in ((Stage.DETECT, 0.01), (Stage.DECIDE, 0.001), (Stage.ALIGN, 0.002)):
            clock.now += seconds
            stopwatch.lap(stage)
        clock.now += 0.004
        stopwatch.lap(Stage.DECIDE)
        stopwatch.finish()
    took = latency.take()
    assert {stage: (round(of.p50_ms, 2), of.count) for stage, of in took.items()} == {
        Stage.DETECT: (10, 2),
        Stage.DECIDE: (5, 2),
        Stage.ALIGN: (2, 2),
    }


def test_a_line_for_people() -> None:
    latency = Latency()
    assert describe(latency.take()) == "nothing timed"
    for stage, milliseconds in zip(reversed(Stage), count(1), strict=False):
        latency.add(stage, milliseconds / 1000)
    assert describe(latency.take()) == (
        "capture 7.0, detect 6.0, align 5.0, embed 4.0, decide 3.0, publish 2.0, frame 1.0 ms"
    )
