"""Photo files to pixels.

Enters: a file that somebody says is a photo. Leaves: upright RGB pixels, or the reason why not.
Knows no face. A file is not trusted: its size is checked before it is read, and its number of
pixels before they are decoded.
"""

from __future__ import annotations

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

# What phones write, and BMP. Not all that Pillow reads: some formats run other programs, and the
# library for TIFF prints to the terminal.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")

# The brands of ISO 14496-12 file types that Apple's phones write.
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"})


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
        return path.read_bytes()
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
        PictureError: it is no such picture, truncated, damaged, or has more than 50 megapixels.
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
    return _to_rgb(ImageOps.exif_transpose(image))


def _to_rgb(image: Image.Image) -> UInt8Array:
    if image.mode.startswith("I"):  # 16-bit grey, which convert() would clip to white
        grey = (np.asarray(image).clip(0, 65535) // 257).astype(np.uint8)  # (height, width)
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    return np.array(image.convert("RGB"))
