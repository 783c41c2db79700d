"""A network camera in a process of its own: ``python network_camera.py PORT MODE_FILE``.

It sends motion JPEG over HTTP, fifteen pictures a second of a porch with a sensor's noise. The mode
file says what is wrong with it: ``live`` nothing; ``dark``, ``frozen``, ``garbled`` and ``sizes``.
"""

import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np

PERIOD_SECONDS = 1 / 15
SIZES = ((640, 360), (320, 240), (1280, 720), (240, 320), (642, 362))


def jpeg(pixels: np.ndarray) -> bytes:
    encoded, data = cv2.imencode(".jpg", pixels)
    assert encoded
    return data.tobytes()


def pictures(mode_file: Path) -> Iterator[bytes]:
    rng = np.random.default_rng(1)
    porch = cv2.resize(rng.integers(40, 200, (9, 16, 3), np.uint8), SIZES[0])
    frozen = jpeg(porch)
    dark = jpeg(np.zeros_like(porch))
    index = 0
    while True:
        index += 1
        mode = mode_file.read_text()
        noise = rng.integers(0, 20, porch.shape, np.uint8)
        if mode == "dark":
            yield dark
        elif mode == "frozen":
            yield frozen
        elif mode == "garbled":
            yield rng.bytes(5000)
        elif mode == "sizes":
            yield jpeg(cv2.resize(porch + noise, SIZES[index % len(SIZES)]))
        else:
            yield jpeg(porch + noise)


class Handler(BaseHTTPRequestHandler):
    mode_file = Path(sys.argv[-1])

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for data in pictures(self.mode_file):
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")
                time.sleep(PERIOD_SECONDS)
        except OSError:
            pass  # the reader has gone

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        del format, args


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
