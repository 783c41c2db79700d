import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from doorbell.domain import UInt8Array
from doorbell.errors import PictureError
from doorbell.imaging.photos import decode_photo, read_photo

# 96 x 64: red left, green right, and a blue band below; no symmetry that would hide a turn.
PIXELS: UInt8Array = np.zeros((64, 96, 3), np.uint8)
PIXELS[:, :48, 0] = 200
PIXELS[:, 48:, 1] = 200
PIXELS[48:] = (0, 0, 200)


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def assert_alike(decoded: UInt8Array, expected: UInt8Array, tolerance: int) -> None:
    assert decoded.dtype == np.uint8
    assert decoded.shape == expected.shape
    difference = np.abs(decoded.astype(int) - expected.astype(int))
    assert np.median(difference) <= tolerance
    assert np.percentile(difference, 90) <= 4 * tolerance + 1


@pytest.mark.parametrize(
    ("file_format", "mode", "tolerance"),
    [
        ("JPEG", "RGB", 3),
        ("MPO", "RGB", 3),  # what many phones write
        ("JPEG", "CMYK", 6),
        ("PNG", "RGB", 0),
        ("PNG", "RGBA", 0),
        ("PNG", "P", 3),
        ("WEBP", "RGB", 8),
        ("BMP", "RGB", 0),
    ],
)
def test_every_kind_of_colour_picture_becomes_rgb(
    file_format: str, mode: str, tolerance: int
) -> None:
    content = encode(Image.fromarray(PIXELS).convert(mode), file_format)
    assert_alike(decode_photo(content, "photo"), PIXELS, tolerance)


def test_the_colours_of_a_cmyk_jpeg_as_other_programs_read_it_are_the_same() -> None:
    content = encode(Image.fromarray(PIXELS).convert("CMYK"), "JPEG", quality=95)
    reference = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert reference is not None
    assert_alike(decode_photo(content, "photo"), reference[:, :, ::-1].astype(np.uint8), 6)


def test_grey_pictures_become_rgb() -> None:
    grey = Image.fromarray(PIXELS).convert("L")
    expected = np.asarray(grey.convert("RGB"))
    assert_alike(decode_photo(encode(grey, "PNG"), "photo"), expected, 0)
    assert_alike(decode_photo(encode(grey.convert("LA"), "PNG"), "photo"), expected, 0)
    assert_alike(decode_photo(encode(grey, "JPEG"), "photo"), expected, 3)


def test_16_bits_are_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 96 * 64).reshape(64, 96).astype(np.uint16)
    expected = np.repeat((ramp // 257).astype(np.uint8)[:, :, None], 3, axis=2)
    grey = encode(Image.fromarray(ramp), "PNG")
    assert_alike(decode_photo(grey, "photo"), expected, 0)
    written, colour = cv2.imencode(".png", np.repeat(ramp[:, :, None], 3, axis=2))
    assert written
    assert_alike(decode_photo(colour.tobytes(), "photo"), expected, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_a_picture_is_turned_upright(orientation: int, file_format: str) -> None:
    # How the sensor's rows lie for each orientation of the EXIF standard, table 4 of tag 0x0112.
    stored = {
        1: PIXELS,
        2: PIXELS[:, ::-1],
        3: PIXELS[::-1, ::-1],
        4: PIXELS[::-1],
        5: PIXELS.transpose(1, 0, 2),
        6: np.rot90(PIXELS, 1),
        7: np.rot90(PIXELS, 2).transpose(1, 0, 2),
        8: np.rot90(PIXELS, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(Image.fromarray(np.ascontiguousarray(stored)), file_format, exif=exif)
    assert_alike(decode_photo(content, "photo"), PIXELS, 4)


def photo_bytes(file_format: str) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, PIXELS.shape, np.uint8)
    return encode(Image.fromarray(noise), file_format)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_truncated_picture_is_refused(file_format: str, kept: float) -> None:
    content = photo_bytes(file_format)
    with pytest.raises(PictureError, match=r"^porch\.img is "):
        decode_photo(content[: int(len(content) * kept)], "porch.img")


def png_of_size(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"name,address\n" * 100, "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (encode(Image.fromarray(PIXELS), "TIFF"), "not a picture"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(200), "HEIC, which is not supported; convert to JPEG"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(200), "not a picture"),
        (png_of_size(8000, 6251), "8000 x 6251 pixels, at most 50 megapixels"),
        (png_of_size(12000, 12000), "12000 x 12000 pixels"),
        (png_of_size(60000, 60000), "too many pixels"),
    ],
)
def test_what_is_no_usable_picture_is_refused_by_name(content: bytes, message: str) -> None:
    with pytest.raises(PictureError, match=message) as caught:
        decode_photo(content, "porch.jpg")
    assert "porch.jpg" in str(caught.value)


@given(
    st.sampled_from(["JPEG", "PNG", "WEBP", "BMP"]),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=8),
)
def test_a_damaged_picture_is_decoded_or_refused(
    file_format: str, where: float, damage: bytes
) -> None:
    content = bytearray(photo_bytes(file_format))
    start = int(where * len(content))
    content[start : start + len(damage)] = damage
    try:
        decoded = decode_photo(bytes(content), "photo")
    except PictureError:
        return
    assert decoded.ndim == 3
    assert decoded.shape[2] == 3


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"gone\.jpg cannot be read: No such file"):
        read_photo(tmp_path / "gone.jpg")
    with pytest.raises(PictureError, match="is not a file"):
        read_photo(tmp_path)
    with pytest.raises(PictureError, match="cannot be read"):
        read_photo(tmp_path / ("x" * 300))
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(50_000_001)
    with pytest.raises(PictureError, match="has 50 MB"):
        read_photo(huge)
    good = tmp_path / "good.jpg"
    good.write_bytes(photo_bytes("JPEG"))
    assert decode_photo(read_photo(good), str(good)).shape == (64, 96, 3)
