"""Photos as files: good ones, and such as somebody sends to break what reads them."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from doorbell.domain import UInt8Array
from doorbell.imaging.photos import decode_photo
from doorbell.models.store import face_path

PORTRAITS = ("ardern", "biden", "macron", "obama", "obama2")


def portrait_pixels(name: str, models_directory: Path, width: int = 480) -> UInt8Array:
    """A sample portrait, so wide."""
    pixels = decode_photo(face_path(name, models_directory).read_bytes(), name)
    size = width, round(pixels.shape[0] * width / pixels.shape[1])
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def jpeg(pixels: UInt8Array, *, orientation: int = 1) -> bytes:
    """The file of a photo, with the orientation that EXIF notes."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90, exif=exif)
    return file.getvalue()


def side_by_side(*pictures: UInt8Array) -> UInt8Array:
    """Several people in one photo."""
    height = min(picture.shape[0] for picture in pictures)
    return np.concatenate([picture[:height] for picture in pictures], axis=1)


def blurred(pixels: UInt8Array) -> UInt8Array:
    """The same, out of focus."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 7), np.uint8)


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of so many black pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def hostile_files() -> dict[str, bytes]:
    """What is no photo of anybody, by what it is."""
    grey = jpeg(np.full((40, 40, 3), 128, np.uint8))
    return {
        "0 bytes": b"",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "heic": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100),
        "html": b"<!doctype html><img src=x onerror=alert(1)>",
        "truncated": grey[: len(grey) // 2],
        "bomb": png_bomb(20_000, 20_000),
        "wide bomb": png_bomb(40_000, 64),
        "plain bomb": png_bomb(6_000, 6_000),
        "tiff": b"II*\x00" + bytes(200),
        "gif": b"GIF89a" + bytes(200),
        "noise": np.random.default_rng(5).bytes(5_000),
        "jpeg head alone": b"\xff\xd8\xff\xe0" + bytes(30),
    }
