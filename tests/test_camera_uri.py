from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pydantic import ValidationError

from doorbell.camera import open_camera
from doorbell.camera.uri import Kind, loses_no_frame, parse_uri, source_of
from doorbell.config import CameraSection
from doorbell.errors import CameraError


@pytest.mark.parametrize(
    ("uri", "kind", "place"),
    [
        ("simulated:", Kind.SIMULATED, ""),
        ("simulated:?seed=3", Kind.SIMULATED, "?seed=3"),
        ("0", Kind.DEVICE, "/dev/video0"),
        ("/dev/video2", Kind.DEVICE, "/dev/video2"),
        ("v4l2:///dev/video1", Kind.DEVICE, "/dev/video1"),
        ("csi://0", Kind.CSI, "csi://0"),
        ("rtsp://camera/stream", Kind.NETWORK, "rtsp://camera/stream"),
        ("https://camera/stream.mjpg", Kind.NETWORK, "https://camera/stream.mjpg"),
        ("/clips/a.mkv", Kind.FILE, "/clips/a.mkv"),
        ("a.mp4", Kind.FILE, "a.mp4"),
        ("file:///clips/a%20b.mkv", Kind.FILE, "/clips/a b.mkv"),
        ("videotestsrc ! appsink", Kind.PIPELINE, "videotestsrc ! appsink"),
        ("rtspsrc location=rtsp://c/s ! appsink", Kind.PIPELINE, None),
    ],
)
def test_what_a_uri_means(uri: str, kind: Kind, place: str | None) -> None:
    source = parse_uri(uri)
    assert source.kind is kind
    assert source.place == (uri if place is None else place)


def test_an_existing_folder_is_a_folder(tmp_path: Path) -> None:
    assert parse_uri(str(tmp_path)).kind is Kind.FOLDER
    assert parse_uri(tmp_path.as_uri()).kind is Kind.FOLDER


@pytest.mark.parametrize("uri", ["", "gopher://camera", "file://"])
def test_a_uri_without_meaning_is_refused(uri: str) -> None:
    with pytest.raises(CameraError, match=r"camera\.uri"):
        parse_uri(uri)


def test_the_built_in_scene_is_shown_by_its_uri() -> None:
    assert parse_uri("simulated:").shown == "simulated:"


@pytest.mark.parametrize(
    "uri",
    [
        "rtsp://anna:swordfish@camera/stream",
        "https://anna:swordfish@camera:8443/video?token=swordfish",
        "rtspsrc location=rtsp://anna:swordfish@camera/s ! appsink",
        "rtspsrc location=rtsp://camera/s user-id=anna user-pw=swordfish ! appsink",
    ],
)
def test_credentials_are_never_shown(uri: str) -> None:
    shown = parse_uri(uri).shown
    assert "swordfish" not in shown
    assert "anna" not in shown
    assert "camera" in shown


@pytest.mark.parametrize("uri", ["rtsp://anna:swordfish@127.0.0.1:9/stream"])
def test_credentials_are_not_in_errors(uri: str) -> None:
    with pytest.raises(CameraError) as caught:
        open_camera(CameraSection(uri=uri, backend="opencv"))
    assert "swordfish" not in str(caught.value)
    assert "127.0.0.1:9" in str(caught.value)


def test_only_recordings_read_as_fast_as_possible_lose_no_frame() -> None:
    for uri in ("simulated:", "a.mkv", "/"):
        assert loses_no_frame(CameraSection(uri=uri, realtime=False))
        assert not loses_no_frame(CameraSection(uri=uri, realtime=True))
    for uri in ("0", "rtsp://camera/stream", "csi://0"):
        assert not loses_no_frame(CameraSection(uri=uri, realtime=False))


@pytest.mark.parametrize(
    ("uri", "backend", "hint"),
    [
        ("csi://0", "auto", "jetson-utils"),
        ("rtsp://camera/s", "simulated", "set it to auto"),
        ("simulated:", "opencv", "set it to auto"),
        ("csi://0", "opencv", "jetson"),
    ],
)
def test_a_backend_that_cannot_open_the_uri_says_what_can(
    uri: str, backend: str, hint: str
) -> None:
    with pytest.raises(CameraError, match=hint):
        open_camera(CameraSection.model_validate({"uri": uri, "backend": backend}))


def test_an_address_with_a_password_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "camera-uri"
    path.write_text("rtsp://anna:swordfish@camera/door\n")
    path.chmod(0o600)
    source = source_of(CameraSection(uri_file=path))
    assert source.place == "rtsp://anna:swordfish@camera/door"
    assert source.shown == "rtsp://***@camera/door"


def test_a_missing_file_of_an_address_is_a_camera_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"camera\.uri_file: cannot read .*gone"):
        source_of(CameraSection(uri_file=tmp_path / "gone"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("rtsp://admin:p@ss#1word@camera:554/door", "rtsp://admin:p%40ss%231word@camera:554/door"),
        ("rtsp://admin:p@ssword@camera/door", "rtsp://admin:p%40ssword@camera/door"),
        ("rtsp://admin:pa/ss?word@camera/door", "rtsp://admin:pa%2Fss%3Fword@camera/door"),
        ("http://admin:50%off@camera/door", "http://admin:50%25off@camera/door"),
        (
            "rtsp://admin:s\u00e9cret pass@camera/door",
            "rtsp://admin:s%C3%A9cret%20pass@camera/door",
        ),
        ("rtsp://admin:semi;colon:x@camera/door", None),
        ("rtsp://admin:p%40ss%23@camera/door", None),
        ("rtsp://admin:pw@camera:554/door@2?a=b@c", None),
        ("rtsp://camera:554/door@2", None),
        ("rtsp://camera/door#1", None),
        ("rtsp://admin@[fe80::1]:554/door", None),
        ("rtsp://[fe80::1]/door@2", None),
    ],
)
def test_a_password_is_understood_as_people_write_it(written: str, meant: str | None) -> None:
    assert parse_uri(written).place == (meant or written)
    assert "ss" not in parse_uri(written).shown.partition("camera")[0].removeprefix("rtsp://")


@pytest.mark.parametrize(
    "password", ["p@ss#1word", "pa/ss?word", "fifty%41off", "s\u00e9cret", "a:b"]
)
def test_a_password_in_its_file_is_taken_as_it_is(tmp_path: Path, password: str) -> None:
    path = tmp_path / "password"
    path.write_text(password + "\n", "utf-8")
    path.chmod(0o600)
    section = CameraSection(uri="rtsp://camera:554/door", user="me@home", password_file=path)
    source = source_of(section)
    address = urlsplit(source.place)
    assert (address.hostname, address.port, address.path) == ("camera", 554, "/door")
    assert (unquote(address.username or ""), unquote(address.password or "")) == (
        "me@home",
        password,
    )
    assert source.shown == "rtsp://***@camera:554/door"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("/dev/video0", r"camera\.user does nothing"),
        ("rtsp://anna:swordfish@camera/door", "has a user of its own"),
    ],
)
def test_a_user_that_is_told_twice_or_in_vain_is_refused(uri: str, message: str) -> None:
    with pytest.raises(CameraError, match=message) as refused:
        source_of(CameraSection(uri=uri, user="anna"))
    assert "swordfish" not in str(refused.value)


def test_a_password_without_its_user_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="does nothing without user"):
        CameraSection(uri="rtsp://camera/door", password_file=tmp_path)


def test_a_password_file_that_is_gone_is_told_by_its_key() -> None:
    section = CameraSection(uri="rtsp://camera/door", user="a", password_file=Path("/no/such"))
    with pytest.raises(CameraError, match=r"camera\.password_file: cannot read /no/such"):
        source_of(section)
