"""A video encoder as cameras have one: pictures to H.264, and what a player makes of it again.

Needs PyAV, which comes with ``doorbell[conditions]``.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from doorbell.domain import UInt8Array


class Encoder:
    """Makes a stream of pictures, to be sent as it grows.

    Args:
        width, height: of the pictures, in pixels.
        frames_per_second: of the stream.
        key_frames_apart: in pictures.
        options: of the encoder, as FFmpeg names them.
        bits_per_second: asked of it; 0 where the options say how good it is to be.
        codec: as FFmpeg names it.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        frames_per_second: int = 15,
        key_frames_apart: int = 30,
        options: Mapping[str, str] | None = None,
        bits_per_second: int = 0,
        codec: str = "libx264",
    ) -> None:
        self._av: Any = importlib.import_module("av")
        self._buffer = io.BytesIO()
        self._container = self._av.open(self._buffer, "w", format="mpegts")
        self._stream = self._container.add_stream(codec, rate=frames_per_second)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.gop_size, context.max_b_frames, context.thread_count = key_frames_apart, 0, 1
        if bits_per_second:
            self._stream.bit_rate = bits_per_second
        self._stream.options = {"preset": "veryfast", "sc_threshold": "0", **(options or {})}

    def add(self, pixels: UInt8Array) -> bytes:
        """Encode the next picture, (height, width, 3) uint8 RGB; what is to be sent by now."""
        frame = self._av.VideoFrame.from_ndarray(pixels, format="rgb24")
        self._container.mux(self._stream.encode(frame))
        return self._take()

    def end(self) -> bytes:
        """End the stream; what is left of it."""
        self._container.mux(self._stream.encode())
        self._container.close()
        return self._take()

    def _take(self) -> bytes:
        made = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return made


def encode(pictures: Iterable[UInt8Array], encoder: Encoder) -> bytes:
    """Encode them all."""
    parts = [encoder.add(pixels) for pixels in pictures]
    return b"".join([*parts, encoder.end()])


def decode(stream: bytes) -> Iterator[tuple[UInt8Array, bool]]:
    """Decode it: (height, width, 3) uint8 RGB each, and whether it was coded by itself."""
    with importlib.import_module("av").open(io.BytesIO(stream)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24"), frame.pict_type == 1
