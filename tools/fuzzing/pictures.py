"""Picture files at enrollment: what Pillow reads of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image

from doorbell.errors import PictureError
from doorbell.imaging.photos import MAX_PIXELS, decode_photo

MAX_BYTES = 2048
MAX_SECONDS = 1.0

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def seeds() -> Iterator[bytes]:
    """Encode a small pattern in every format, mode and option that phones and programs write."""
    colours = np.zeros((12, 16, 3), np.uint8)
    colours[:, :8, 0], colours[6:, :, 1] = 200, 150
    rgb = Image.fromarray(colours)
    for mode in ("RGB", "L", "CMYK"):
        for options in ({}, {"progressive": True}, {"optimize": True}, {"restart_marker_rows": 1}):
            yield _encode(rgb.convert(mode), "JPEG", quality=20, **options)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield _encode(rgb.convert(mode), "PNG")
    yield _encode(Image.fromarray(np.arange(192, dtype=np.uint16).reshape(12, 16) * 300), "PNG")
    yield _encode(rgb.convert("P"), "PNG", transparency=0, bits=4)
    yield _encode(rgb, "PNG", save_all=True, append_images=[rgb.rotate(90)])
    yield _encode(rgb, "MPO", save_all=True, append_images=[rgb.rotate(180)], quality=20)
    for mode in ("RGB", "RGBA"):
        for lossless in (False, True):
            yield _encode(rgb.convert(mode), "WEBP", lossless=lossless, quality=20)
    yield _encode(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(90)])
    for mode in ("1", "L", "P", "RGB"):
        yield _encode(rgb.convert(mode), "BMP")
    for turn in range(9):
        exif = Image.Exif()
        exif[0x0112] = turn
        exif[0x010E] = "a visitor"
        for file_format in ("JPEG", "PNG", "WEBP"):
            yield _encode(rgb, file_format, exif=exif)


def check(content: bytes) -> None:
    """Decode it, and once more with the checksums set right, without which PNG ends early."""
    for candidate in {content, _with_checksums(content)}:
        try:
            pixels = decode_photo(candidate, "photo")
        except PictureError:
            continue
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise AssertionError(f"decoded to {pixels.dtype} of shape {pixels.shape}")
        if not 0 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS:
            raise AssertionError(f"decoded to {pixels.shape[1]} x {pixels.shape[0]} pixels")


def _encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _with_checksums(content: bytes) -> bytes:
    if not content.startswith(PNG_SIGNATURE):
        return content
    mended, place = bytearray(content), len(PNG_SIGNATURE)
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        end = place + 8 + length
        if end + 4 > len(content):
            break
        struct.pack_into(">I", mended, end, zlib.crc32(content[place + 4 : end]))
        place = end + 4
    return bytes(mended)
