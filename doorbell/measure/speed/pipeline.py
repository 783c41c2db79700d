"""What frames cost as work grows: more visitors, larger frames, and nobody at all.

Drawing the frames, which stands for decoding them, is not counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count as counting
from itertools import islice

from doorbell.config import Config
from doorbell.domain import Frame
from doorbell.measure.speed.product import DOORBELL, FrameTiming, SystemUnderTest, open_system
from doorbell.measure.speed.report import BenchReport, Result
from doorbell.measure.speed.scene import P720, SIZES, Size, View, draw, for_seconds, standing
from doorbell.measure.speed.timing import MIN_ROUNDS, Timing
from doorbell.models.store import models_directory

MOST_VISITORS = 8
NOBODY = "720p, nobody, 15 frames a second"

# Everybody has been followed, decided upon and announced before the clock starts.
WARM_UP_FRAMES = 60
IDLE_FRAMES_PER_SECOND = 15.0
# Drawn beforehand, so that the processor time is the pipeline's alone.
IDLE_FRAMES = 30


def visitors_name(count: int) -> str:
    """Name the measurement with so many visitors side by side."""
    return f"720p, {count} at the door" if count > 1 else "720p, one at the door"


def size_name(size: Size) -> str:
    """Name the measurement of a size."""
    return f"{size}, one at the door"


WORK: Mapping[str, tuple[int, Size]] = {
    **{size_name(size): (1, size) for size in SIZES},
    **{visitors_name(count): (count, P720) for count in range(2, MOST_VISITORS + 1)},
}


def measure_pipeline(
    config: Config,
    work: Mapping[str, tuple[int, Size]],
    *,
    threads: int | None,
    seconds: float,
    machine: Mapping[str, str],
    say: Callable[[str], None],
) -> BenchReport:
    """Time the pipeline with visitors, then with nobody there.

    Args:
        config: of the product.
        work: visitors and size of each measurement, by its name.
        threads: it infers on; None on a GPU.
        seconds: of measuring, each.
        machine: goes into the report.
        say: told what is being done.

    Raises:
        ModelError: the models or the sample portraits have not been built.
        InferenceError: a network cannot be loaded.
    """
    faces = models_directory(config.inference) / "faces"
    results = []
    with open_system(config) as product:
        for name, (count, size) in work.items():
            say(f"measuring: {name}")
            looked = _look(draw(standing(count, faces), size), product, seconds)
            timing = Timing.of([each.milliseconds for each in looked])
            seen = sum(len(each.boxes_xyxy) for each in looked) / len(looked)
            figures = {
                "found": min(seen / count, 1.0),
                "frames_per_second": 1000 / timing.mean_ms,
                "visitors": count,
                "megapixels": size.width * size.height / 1e6,
            }
            results.append(Result(name, DOORBELL, timing, threads, figures))
        say(f"measuring: {NOBODY}")
        timing, core = _time_nobody(draw(standing(0, faces), P720), product, seconds)
        results.append(Result(NOBODY, DOORBELL, timing, threads, {"core": core}))
    return BenchReport(machine, tuple(results), {})


def _look(views: Iterator[View], product: SystemUnderTest, seconds: float) -> list[FrameTiming]:
    namer = product.namer()
    for view in islice(views, WARM_UP_FRAMES):
        namer.look(view.frame)
    return [namer.look(view.frame) for view in for_seconds(views, seconds)]


def _time_nobody(
    views: Iterator[View], product: SystemUnderTest, seconds: float
) -> tuple[Timing, float]:
    """Times of a frame, and processor seconds a second of stream, at the stream's own speed."""
    drawn = [view.frame for view in islice(views, IDLE_FRAMES)]
    period = 1 / IDLE_FRAMES_PER_SECOND
    frames = max(round(seconds / period), MIN_ROUNDS)
    namer = product.namer()
    stream = _to_and_fro(drawn, period)
    for frame in islice(stream, WARM_UP_FRAMES):
        namer.look(frame)
    times_ms = []
    began, used = time.monotonic(), time.process_time()
    for place, frame in enumerate(islice(stream, frames), start=1):
        times_ms.append(namer.look(frame).milliseconds)
        time.sleep(max(began + place * period - time.monotonic(), 0.0))
    # By the stream's time: a machine that is late has not become more frugal.
    return Timing.of(times_ms), (time.process_time() - used) / (frames * period)


def _to_and_fro(frames: Sequence[Frame], period: float) -> Iterator[Frame]:
    """Frames without end and without a jump in the light, which would be motion everywhere."""
    there_and_back = [*frames, *reversed(frames)]
    for index in counting():
        frame = there_and_back[index % len(there_and_back)]
        seconds = index * period
        yield replace(frame, time_seconds=seconds, index=index)
