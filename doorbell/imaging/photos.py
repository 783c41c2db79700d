"""Photo files to pixels.

A file is not trusted: its size is checked before it is read, and its number of pixels, and what it
would cost to decode them, before they are decoded.
"""

from __future__ import annotations

import re
import struct
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from doorbell.domain import UInt8Array
from doorbell.errors import PictureError

# A camera's largest JPEG has some 30 MB; 50 megapixels decode to 150 MB.
MAX_BYTES = 50_000_000
MAX_PIXELS = 50_000_000
MAX_SIDE = 30_000
# A large picture in a tiny file is made to fill the memory, not of a person: photos have 5 to 50
# pixels a byte, and one grey wall as JPEG 170. Icons and drawings below the size may be plain.
MAX_PIXELS_PER_BYTE = 1000
PLAIN_PIXELS = 1_000_000
# Each scan of a JPEG goes over all of its pixels, however little it holds: 44 ms for 50 megapixels,
# measured 2026-11-22. Progressive ones have about ten.
MAX_SCANS = 100

# What phones write, and BMP. Not all that Pillow reads: some formats run other programs, and the
# library for TIFF prints to the terminal.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")

# The brands of ISO 14496-12 file types that Apple's phones write.
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"})
# The start of scan and the end of a JPEG, and the other segments with a length; no fill, no
# stuffed byte and no restart marker.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])")


def read_photo(path: Path) -> bytes:
    """Read a photo's file.

    Raises:
        PictureError: it is missing, unreadable, no file, empty or larger than 50 MB.
    """
    try:
        if path.exists() and not path.is_file():
            raise PictureError(f"{path} is not a file; give the photos themselves")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise PictureError(
                f"{path} has {size / 1e6:.0f} MB, at most {MAX_BYTES / 1e6:.0f} are read; "
                "save it smaller"
            )
        with path.open("rb") as file:
            return file.read(MAX_BYTES)  # of one that grows meanwhile no more either
    except OSError as exc:
        raise PictureError(
            f"{path} cannot be read: {exc.strerror}; check the name and who may read it"
        ) from exc


def decode_photo(content: bytes, name: str) -> UInt8Array:
    """Decode a photo, turned upright as its EXIF data says.

    Args:
        content: a JPEG, PNG, WebP or BMP file: grey, 16-bit, CMYK or with transparency too.
        name: for messages.

    Returns:
        (height, width, 3) uint8, RGB.

    Raises:
        PictureError: it is no such picture, truncated, damaged, or too large or costly to decode.
    """
    if not content:
        raise PictureError(f"{name} is empty (0 bytes); copy the photo again")
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata, which is nobody's concern, and of too many pixels.
            warnings.simplefilter("ignore")
            return _decode(content, name)
    except UnidentifiedImageError as exc:
        if content[4:8] == b"ftyp" and content[8:12] in _HEIC_BRANDS:
            raise PictureError(f"{name} is HEIC, which is not supported; convert to JPEG") from exc
        raise PictureError(f"{name} is not a picture; give a JPEG or PNG file") from exc
    except Image.DecompressionBombError as exc:
        raise PictureError(f"{name} has far too many pixels: {exc}; save it smaller") from exc
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error) as exc:
        # All of these are what Pillow raises from damaged files, by format.
        raise PictureError(f"{name} is truncated or damaged: {exc}; copy the photo again") from exc


def _decode(content: bytes, name: str) -> UInt8Array:
    image = Image.open(BytesIO(content), formats=FORMATS)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{name} has {width} x {height} pixels, at most {MAX_PIXELS / 1e6:.0f} megapixels "
            "are decoded; save it smaller"
        )
    if max(width, height) > MAX_SIDE:
        raise PictureError(
            f"{name} has {width} x {height} pixels, at most {MAX_SIDE} a side are decoded; cut it "
            "to the face"
        )
    if width * height > max(PLAIN_PIXELS, MAX_PIXELS_PER_BYTE * len(content)):
        raise PictureError(
            f"{name} has {width} x {height} pixels in {len(content)} bytes, which no photo has; "
            "copy the photo again"
        )
    if image.format in ("JPEG", "MPO") and (scans := _jpeg_scans(content)) > MAX_SCANS:
        raise PictureError(
            f"{name} has {scans} scans, at most {MAX_SCANS} are decoded; save it again"
        )
    return _to_rgb(ImageOps.exif_transpose(image))


def _jpeg_scans(content: bytes) -> int:
    """Count the scans of the first picture in a JPEG file; behind its end may be anything."""
    scans, place = 0, 2
    while (marker := _JPEG_MARKER.search(content, place)) and marker[1] != b"\xd9":
        scans += marker[1] == b"\xda"
        length = int.from_bytes(content[marker.end() : marker.end() + 2], "big")
        place = marker.end() + length
    return scans


def _to_rgb(image: Image.Image) -> UInt8Array:
    if image.mode.startswith("I"):  # 16-bit grey, which convert() would clip to white
        grey = (np.asarray(image).clip(0, 65535) // 257).astype(np.uint8)  # (height, width)
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    return np.array(image.convert("RGB"))
