import json
from dataclasses import replace

import pytest

from doorbell.cli.bench_printing import print_drift
from doorbell.measure.speed.drift import Minute, drift_curve, drift_document, minute_of
from doorbell.outputs.mqtt.messages import statistics_document
from doorbell.status import StageLatency, Statistics

STATISTICS = Statistics(
    uptime_seconds=120.2,
    frames_per_second=29.8,
    frames_dropped=1,
    latency_ms_p50=9.0,
    latency_ms_p99=40.0,
    visits_open=1,
    people=1,
    strangers=0,
    camera_online=True,
    stages={"frame": StageLatency(7.5, 12.0, 31.25, 1788)},
)
FIRST = Minute(1.0, 30.0, 8.0, 20.0, 250.0)


def test_a_minute_is_what_the_status_says_of_it() -> None:
    status = json.loads(json.dumps(statistics_document(STATISTICS)))
    assert minute_of(status, 251.04) == Minute(2.0, 29.8, 7.5, 31.25, 251.0)


def test_minutes_are_printed_drawn_and_documented(capsys: pytest.CaptureFixture[str]) -> None:
    measured = [FIRST, replace(FIRST, minute=2.0, p50_ms=9.0)]
    document = drift_document(measured, {"cores": "2"})
    assert json.loads(json.dumps(document))["minutes"][1]["p50_ms"] == 9.0
    assert list(drift_curve(measured).points) == [(1.0, 8.0, 20.0), (2.0, 9.0, 20.0)]
    print_drift(measured)
    assert "9.00" in capsys.readouterr().out
