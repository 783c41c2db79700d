import io
import subprocess
import sys

import pytest

from doorbell.outputs.sound.player import Request, read_request


def test_requests_are_read_one_after_the_other() -> None:
    stream = io.BytesIO(b"44100 1 4\nabcd8000 2 8\n\n2345678")
    assert read_request(stream) == Request(44100, 1, b"abcd")
    assert read_request(stream) == Request(8000, 2, b"\n2345678")
    assert read_request(stream) is None


@pytest.mark.parametrize("data", [b"", b"\n", b"44100 1\n", b"44100 1 4\nabc"])
def test_a_stream_that_ends_in_a_request_ends_there(data: bytes) -> None:
    assert read_request(io.BytesIO(data)) is None


def test_how_long_a_request_lasts() -> None:
    assert Request(8000, 2, bytes(64000)).seconds == 2.0


def test_the_player_loads_nothing_heavy() -> None:
    code = "import sys, doorbell.outputs.sound.player; print('numpy' in sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert loaded.stdout.strip() == "False"
