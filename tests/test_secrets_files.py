from __future__ import annotations

import logging
import string
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doorbell.config.secrets import (
    read_secret,
    secret_path,
    warn_of_readers,
    without_credentials,
)
from doorbell.errors import ConfigError

KEY = "mqtt.password_file"


def secret_file(folder: Path, mode: int = 0o600) -> Path:
    path = folder / "password"
    path.write_text("swordfish\n")
    path.chmod(mode)
    return path


def test_a_secret_is_the_line_of_its_file(tmp_path: Path) -> None:
    assert read_secret(KEY, secret_file(tmp_path)) == "swordfish"


@pytest.mark.parametrize(("mode", "said"), [(0o600, 0), (0o400, 0), (0o604, 1), (0o644, 1)])
def test_a_file_that_everybody_can_read_is_said(
    tmp_path: Path, mode: int, said: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = secret_file(tmp_path, mode)
    with caplog.at_level(logging.WARNING):
        warn_of_readers(KEY, path)
    assert len(caplog.messages) == said
    assert all(f"chmod o= {path}" in message for message in caplog.messages)
    assert "swordfish" not in caplog.text


def test_a_credential_of_systemd_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # systemd gives access by an ACL, whose mask looks like a group's permission.
    secret_file(tmp_path, 0o444)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret(KEY, Path("$CREDENTIALS_DIRECTORY/password")) == "swordfish"
    assert caplog.messages == []
    with pytest.raises(ConfigError, match=r"cannot read .*other: No such file"):
        read_secret(KEY, Path("$CREDENTIALS_DIRECTORY/other"))


def test_credentials_that_were_not_passed_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError, match=r"mqtt\.password_file = .*no credentials"):
        secret_path(KEY, Path("$CREDENTIALS_DIRECTORY/password"))


def test_a_password_in_the_place_of_its_path_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        read_secret(KEY, Path("swordfish"))
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://anna:swordfish@camera/stream",
        "rtsp://anna:sword/fish@camera/stream",
        "rtsp://anna:sword@fish@camera/stream",
        "http://camera/flv?port=1935&user=anna&PASSWORD=swordfish",
        "http://camera/cgi?usr=anna&pwd=swordfish",
        "rtsp://camera/user=anna_password=swordfish_channel=1_stream=0.sdp",
        'rtspsrc location=rtsp://camera/s user-id=anna user-pw="sword fish" ! appsink',
    ],
)
def test_the_ways_to_write_a_camera_s_password_are_hidden(text: str) -> None:
    shown = without_credentials(text)
    assert all(word not in shown for word in ("anna", "sword", "fish"))
    assert "camera" in shown


@given(
    st.text(st.characters(exclude_characters="\"'\n")),
    st.text(st.characters(exclude_characters="\"'\n")),
)
@example("a'", '"b')
@example("a b@", " c")
def test_whatever_a_password_holds_is_hidden(before: str, after: str) -> None:
    text = f"cannot open rtsp://anna:{before}swordfish{after}@camera/stream"
    assert without_credentials(text) == "cannot open rtsp://***@camera/stream"


@given(
    st.sampled_from(["pw", "user_pw", "password_1", "Pass-Word2", "auth_token", "apikey"]),
    st.text(string.ascii_letters + string.digits + "_=/+-.,;:!$%", min_size=0),
)
def test_whatever_a_parameter_is_called_its_secret_is_hidden(name: str, value: str) -> None:
    text = f"http://camera/flv?port=1&{name}=swordfish{value}&stream=0"
    shown = without_credentials(text)
    assert shown.startswith("http://camera/flv?port=1&")
    assert shown.endswith("***&stream=0")


@pytest.mark.parametrize("text", ["/dev/video0", "rtsp://camera:554/a/b", "v4l2src ! appsink"])
def test_what_holds_no_password_is_shown_as_it_is(text: str) -> None:
    assert without_credentials(text) == text
