import io
import subprocess
import sys

import pytest

from doorbell.outputs.sound.player import Request, Stop, read_requests


def read(data: bytes) -> list[Request]:
    requests: list[Request] = []
    read_requests(io.BytesIO(data), requests.append)
    return requests


def test_requests_are_read_one_after_the_other() -> None:
    assert read(b"44100 1 4\nabcd8000 2 8\n\n2345678") == [
        Request(44100, 1, b"abcd"),
        Request(8000, 2, b"\n2345678"),
    ]


@pytest.mark.parametrize("data", [b"", b"\n", b"44100 1\n", b"44100 1 4\nabc"])
def test_a_stream_that_ends_in_a_request_ends_there(data: bytes) -> None:
    assert not read(data)


def test_a_stop_ends_what_was_asked_before_it_and_nothing_after() -> None:
    was_set: list[list[bool]] = []
    requests: list[Request] = []

    def take(request: Request) -> None:
        was_set.append([each.stop.is_set for each in requests])
        requests.append(request)

    read_requests(io.BytesIO(b"8000 1 2\nabstop\n8000 1 2\ncd8000 1 2\nefstop\n"), take)
    assert was_set == [[], [True], [True, False]]
    assert [request.stop.is_set for request in requests] == [True, False, True]


def test_a_stop_that_comes_first_ends_the_sound_as_it_begins() -> None:
    ended: list[str] = []
    stop = Stop()
    stop.ends_by(lambda: ended.append("begun before"))
    assert not ended
    stop.set()
    stop.ends_by(lambda: ended.append("begun after"))
    assert ended == ["begun before", "begun after"]


def test_how_long_a_request_lasts() -> None:
    assert Request(8000, 2, bytes(64000)).seconds == 2.0


def test_the_player_loads_nothing_heavy() -> None:
    code = "import sys, doorbell.outputs.sound.player; print('numpy' in sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert loaded.stdout.strip() == "False"
