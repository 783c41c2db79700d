"""What fuzzing found, each input as small as it became, and the saved corpus of every target."""

from __future__ import annotations

import os
import struct
from contextlib import closing
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from fuzzing import TARGETS, load_target, saved_inputs
from PIL import Image

from doorbell.camera.opencv import OpenCvCamera
from doorbell.camera.uri import Kind, Source
from doorbell.config import CameraSection, load_config
from doorbell.errors import CameraSetupError, ConfigError, PictureError
from doorbell.imaging.photos import MAX_SCANS, decode_photo


def jpeg(**options: object) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (64, 64), (90, 120, 150)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def with_scans(content: bytes, more: int) -> bytes:
    """Repeat the last scan of a JPEG, which is allowed and costs as much as any."""
    start, end = content.rfind(b"\xff\xda"), content.rfind(b"\xff\xd9")
    return content[:end] + content[start:end] * more + content[end:]


@pytest.mark.parametrize("target", TARGETS)
def test_the_saved_inputs_and_the_seeds_of_a_target_are_taken_or_refused(target: str) -> None:
    module = load_target(target)
    inputs = [path.read_bytes() for path in saved_inputs(target)] + list(module.seeds())
    assert len(inputs) >= 3
    for content in inputs:
        module.check(content)


@pytest.mark.parametrize(
    "text",
    [
        b"camera.width = " + b"9" * 5000,  # more digits than Python reads
        b"camera.width = 0x" + b"f" * 9000,  # more digits than Python writes
        b"[camera]\nwidth = " + b"[" * 2000,
        b"[camera]\nwidth = " + b"{a=" * 900,
        b'[storage]\ndirectory = "\\u0000"',
        b'[chime]\nquiet_from = "22:00Z"\nquiet_to = 07:00:00',  # not to be compared
        b"# " + b"-" * 1_000_000,
    ],
)
def test_a_configuration_that_cannot_be_is_refused_in_few_words(
    tmp_path: Path, text: bytes
) -> None:
    path = tmp_path / "doorbell.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("override", ["camera.\udcff=1", "camera.uri=\udcff", "|\udcff.line=1"])
def test_an_override_that_is_no_text_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(None, [override])


def test_a_tiny_file_that_says_it_is_a_huge_picture_is_refused_before_decoding() -> None:
    content = bytearray(jpeg())
    frame = content.index(b"\xff\xc0")
    struct.pack_into(">HH", content, frame + 5, 6000, 6000)
    with pytest.raises(PictureError, match=r"6000 x 6000 pixels in \d+ bytes"):
        decode_photo(bytes(content), "photo")


def test_a_picture_that_is_one_long_line_is_refused() -> None:
    buffer = BytesIO()
    Image.new("RGB", (40_000, 1)).save(buffer, "PNG")
    with pytest.raises(PictureError, match="40000 x 1 pixels, at most 30000 a side"):
        decode_photo(buffer.getvalue(), "photo")


def test_a_jpeg_of_endless_scans_is_refused_and_one_as_cameras_write_it_is_not() -> None:
    content = jpeg(progressive=True)
    assert decode_photo(with_scans(content, 20), "photo").shape == (64, 64, 3)
    with pytest.raises(PictureError, match=r"scans, at most 100 are decoded"):
        decode_photo(with_scans(content, 5000), "photo")


def test_what_stands_behind_a_jpeg_is_no_scan() -> None:
    # As phones append a clip to a photo; and a thumbnail inside a segment is skipped as a whole.
    content = jpeg() + b"\xff\xda\x00\x08" * (MAX_SCANS + 1)
    assert decode_photo(content, "photo").shape == (64, 64, 3)
    comment = b"\xff\xda\x00\x08" * (MAX_SCANS + 1)
    segment = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
    assert decode_photo(jpeg()[:2] + segment + jpeg()[2:], "photo").shape == (64, 64, 3)


def test_weights_in_which_anything_is_cut_away_are_refused() -> None:
    networks = load_target("networks")
    for seed in networks.seeds():
        for start in range(1, len(seed), 7):
            networks.check(seed[:start] + seed[start + 5 :])


def open_video(path: Path) -> OpenCvCamera:
    return OpenCvCamera(CameraSection(realtime=False), Source(Kind.FILE, str(path)))


@pytest.mark.parametrize(
    "content",
    [
        b"ffconcat version 1.0\nfile clip.mkv\n",  # names itself
        b"ID3\x04\x00\x00\x00\x00\x00\x00ffconcat version 1.0\nfile clip.mkv\n",
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/clip.ts\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_playlist_is_no_video_and_opens_nothing_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mkv"
    path.write_bytes(content)
    with pytest.raises(CameraSetupError, match="not a video"):
        open_video(path)


def test_a_pipe_is_no_video_and_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    os.mkfifo(path)
    with pytest.raises(CameraSetupError, match="is no file"):
        open_video(path)


def test_a_video_of_frames_larger_than_any_camera_gives_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (7688, 4328))
    writer.write(np.zeros((4328, 7688, 3), np.uint8))
    writer.release()
    with pytest.raises(CameraSetupError, match="frames of 7688x4328"):
        open_video(path)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "mp4v"), ("mov", "mp4v"), ("mkv", "FFV1"), ("avi", "MJPG"), ("webm", "VP80")],
)
def test_videos_as_cameras_and_programs_write_them_are_read(
    tmp_path: Path, suffix: str, codec: str
) -> None:
    path = tmp_path / f"clip.{suffix}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, (64, 48))
    for _ in range(3):
        writer.write(np.full((48, 64, 3), 120, np.uint8))
    writer.release()
    with closing(open_video(path)) as camera:
        assert camera.read().pixels.shape == (48, 64, 3)
