"""What further doors cost: cameras that play a recording, names at their doors, targets, plots."""

import http.client
import json
import math
import time
from pathlib import Path

import pytest

from doorbell.cli.bench_printing import print_results, print_targets
from doorbell.config import load_config
from doorbell.measure.speed.doors import beside_one_door, doors_name, measure_doors, names_at
from doorbell.measure.speed.plots import curves
from doorbell.measure.speed.product import DOORBELL
from doorbell.measure.speed.report import BenchReport, Result
from doorbell.measure.speed.targets import target_results
from doorbell.measure.speed.timing import Timing
from doorbell.testbed.recorded_cameras import RecordedCameras, recorded_cameras
from doorbell.testbed.waiting import eventually

PICTURES = [b"zero", b"one", b"two"]


def picture(response: http.client.HTTPResponse) -> bytes:
    while not (line := response.readline()).startswith(b"Content-Length: "):
        pass
    response.readline()
    return response.read(int(line.removeprefix(b"Content-Length: ")))


def read(cameras: RecordedCameras, start: int, phase: float) -> list[tuple[float, bytes]]:
    """The next two pictures of a camera, and when they came."""
    connection = http.client.HTTPConnection("127.0.0.1", cameras.port, timeout=5)
    assert eventually(lambda: is_open(connection))
    connection.request("GET", cameras.uri(start, phase).rpartition(str(cameras.port))[2])
    response = connection.getresponse()
    found = [(picture(response), time.time()) for _ in range(2)]
    connection.close()
    return [(at, data) for data, at in found]


def is_open(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.connect()
    except OSError:
        return False
    return True


def test_every_camera_plays_the_recording_from_its_place_on_by_one_clock(tmp_path: Path) -> None:
    for number, data in enumerate(PICTURES):
        (tmp_path / f"{number}.jpg").write_bytes(data)
    with recorded_cameras(tmp_path, 5.0) as cameras:
        for start, phase in ((0, 0.0), (1, 0.5)):
            for at, data in read(cameras, start, phase):
                number = round((at - cameras.began) / cameras.period_seconds - phase - 0.25)
                assert data == PICTURES[(start + number) % 3]
                assert cameras.sent_at(number, phase) <= at


def test_a_name_belongs_to_the_visit_before_it_and_one_that_never_came_is_none() -> None:
    sent = [10.0, 20.0, 30.0, 40.0]
    # The second a little before the face is good enough, the third never, another visit's later.
    assert names_at([10.4, 10.6, 19.0, 40.2], sent) == [
        pytest.approx(400.0),
        pytest.approx(-1000.0),
        pytest.approx(math.nan, nan_ok=True),
        pytest.approx(200.0),
    ]


def doors(count: int, p50_ms: float, **figures: float) -> Result:
    given = {
        "doors": float(count),
        "p95_ms": 2 * p50_ms,
        "frames_per_second": 10.0 * count,
        "sent_per_second": 10.0 * count,
        "resident_mb": 300.0,
        **figures,
    }
    return Result(doors_name(count), DOORBELL, Timing(p50_ms, p50_ms, p50_ms, 5), 2, given)


def test_four_doors_are_compared_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    results = (doors(1, 500.0), doors(4, 600.0, frames_per_second=39.0, resident_mb=360.0))
    ratios = {beside_one_door(4, "p50"): 1.2, beside_one_door(4, "p95"): 1.4}
    report = BenchReport({}, results, ratios)
    rows = target_results(report)
    assert [(round(row.figure, 2), row.met) for row in rows] == [
        (97.5, False),
        (1.2, True),
        (1.4, False),
        (20.0, True),
    ]
    print_results(report)
    print_targets(rows)
    printed = capsys.readouterr().out
    assert "97.5 %" in printed
    names, frames = curves(report)
    assert list(names.points) == [(1.0, 500.0, 1000.0), (4.0, 600.0, 1200.0)]
    assert list(frames.points) == [(1.0, 10.0, 10.0), (4.0, 39.0, 40.0)]


@pytest.mark.long
@pytest.mark.system
def test_a_daemon_of_two_doors_is_measured_beside_one(models_directory: Path) -> None:
    config = load_config(None, [f"inference.models_directory={models_directory}"])
    said: list[str] = []
    report = measure_doors(config, most=2, seconds=12, threads=2, machine={}, say=said.append)
    assert [result.name for result in report.results] == [doors_name(1), doors_name(2)]
    one, two = (result.figures for result in report.results)
    assert 8 < one["frames_per_second"] <= 10.1
    assert 16 < two["frames_per_second"] <= 20.2
    assert one["answered"] == two["answered"] == 1
    assert 0 < one["core"] < two["core"]
    assert two["resident_mb"] > one["resident_mb"] > 100
    assert set(report.ratios) == {beside_one_door(2, "p50"), beside_one_door(2, "p95")}
    json.dumps(report.document())
