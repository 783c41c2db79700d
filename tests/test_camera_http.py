from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from doorbell.camera import open_camera
from doorbell.camera.http import follow
from doorbell.camera.uri import parse_uri
from doorbell.config import CameraSection
from doorbell.errors import CameraError

JPEG = cv2.imencode(".jpg", np.full((120, 160, 3), 90, np.uint8))[1].tobytes()
PART = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"


class Handler(BaseHTTPRequestHandler):
    """What a camera may answer."""

    elsewhere = ""
    asked: list[tuple[int, str]]

    def do_GET(self) -> None:
        assert isinstance(self.server, ThreadingHTTPServer)
        self.asked.append((self.server.server_port, self.path))
        match self.path:
            case "/here":
                self.answer(302, {"Location": "/stream.mjpg"})
            case "/there":
                self.answer(302, {"Location": self.elsewhere})
            case "/round":
                self.answer(302, {"Location": "/round"})
            case "/file":
                self.answer(302, {"Location": "file:///etc/passwd"})
            case "/picture.jpg":
                self.answer(200, {"Content-Type": "image/jpeg", "Content-Length": str(len(JPEG))})
                self.wfile.write(JPEG)
            case "/page":
                self.answer(200, {"Content-Type": "text/html; charset=utf-8"})
            case "/locked":
                self.answer(401, {"WWW-Authenticate": 'Basic realm="camera"'})
            case _:
                kind = "multipart/x-mixed-replace; boundary=frame"
                self.answer(200, {"Content-Type": kind})
                for _ in range(10):
                    self.wfile.write(PART % (len(JPEG), JPEG))

    def answer(self, status: int, head: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in head.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        del format, args


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """The camera's, and of somebody else whom it sends its reader to."""
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as camera,
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as other,
    ):
        here, there = camera.server_address[1], other.server_address[1]
        Handler.elsewhere = f"http://root:swordfish@127.0.0.1:{there}/stream.mjpg"
        Handler.asked = []
        for server in (camera, other):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        yield here, there
        for server in (camera, other):
            server.shutdown()


def section(port: int, path: str) -> CameraSection:
    return CameraSection(uri=f"http://anna:secret@127.0.0.1:{port}{path}", timeout_seconds=2.0)


def test_another_address_of_the_camera_is_followed(ports: tuple[int, int]) -> None:
    with closing(open_camera(section(ports[0], "/here"))) as camera:
        assert camera.read().width == 160


@pytest.mark.parametrize("path", ["/there", "/file"])
def test_a_camera_sends_its_reader_nowhere_else(ports: tuple[int, int], path: str) -> None:
    with pytest.raises(CameraError, match=r"redirects to .*not followed") as refused:
        open_camera(section(ports[0], path))
    assert {port for port, _ in Handler.asked} == {ports[0]}
    assert "secret" not in str(refused.value)
    assert "swordfish" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/round", "again and again"),
        ("/page", "web page, not a stream"),
        ("/locked", r"refused \(401\); check camera\.user"),
    ],
)
def test_what_is_no_stream_is_called_what_it_is(
    ports: tuple[int, int], path: str, message: str
) -> None:
    with pytest.raises(CameraError, match=message):
        open_camera(section(ports[0], path))


def test_a_snapshot_is_no_stream(ports: tuple[int, int]) -> None:
    def read() -> None:
        with closing(open_camera(section(ports[0], "/picture.jpg"))) as camera:
            for _ in range(3):
                camera.read()

    with pytest.raises(CameraError, match=r"single picture \(image/jpeg\), not a stream"):
        read()


def test_a_camera_that_answers_nothing_is_where_it_was() -> None:
    source = parse_uri("http://127.0.0.1:9/stream")
    assert follow(source, 0.5) == source
