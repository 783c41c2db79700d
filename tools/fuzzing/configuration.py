"""The configuration: the text of its file, and overrides after a NUL each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from doorbell.config import Config, load_config
from doorbell.errors import ConfigError
from fuzzing import scratch

MAX_BYTES = 12_000
MAX_SECONDS = 1.0

EXAMPLE = Path(__file__).parents[2] / "config" / "doorbell.toml"


def seeds() -> Iterator[bytes]:
    """Take each section of the documented file, plain and with its comments uncommented."""
    text = EXAMPLE.read_text()
    for section in text.split("\n["):
        lines = ("[" + section.removeprefix("[")).splitlines()
        yield "\n".join(line for line in lines if not line.startswith("#")).encode()
        yield "\n".join(line.removeprefix("# ") for line in lines).encode()
    for name, section in Config():
        for key, value in section:
            yield f"\0{name}.{key}={value}".encode()
    for value in ("nan", "inf", "1e400", "9" * 5000, "0x" + "f" * 9000, "[" * 2000, "{a=" * 900):
        yield f"[camera]\nwidth = {value}".encode()
        yield f"\0camera.width={value}".encode()
    for value in ("22:00:00", '"22:00Z"', "2026-01-01T22:00:00Z", "1.5", '"\\u0000"', '"~nobody"'):
        yield f"[chime]\nquiet_from = {value}\nquiet_to = {value}\ndefault = {value}".encode()
        yield f"[storage]\ndirectory = {value}\n[mqtt]\nusername={value}".encode()
    yield b"[mqtt]\nusername = 'a'\npassword_file = 'b'\ntls = true\ntls_ca_file = 'c'"
    yield b"[button]\nline = 5\nchip = '/dev/gpiochip0'"


def check(content: bytes) -> None:
    """Load it; what loads is usable, and what does not says why in text that can be shown."""
    text, *overrides = content.split(b"\0")
    path = scratch() / "doorbell.toml"
    path.write_bytes(text)
    try:
        config = load_config(path, [os.fsdecode(override) for override in overrides])
    except ConfigError as exc:
        if len(str(exc)) > 1000 + 100 * MAX_BYTES:
            raise AssertionError(f"a message of {len(str(exc))} characters") from exc
        return
    config.model_dump_json()
    if config.chime.quiet_from is not None and config.chime.quiet_to is not None:
        # As the chime compares it with the time of day.
        _ = config.chime.quiet_from <= config.chime.quiet_to
    for named in (config.storage.directory, config.mqtt.password_file, config.mqtt.tls_ca_file):
        if named is not None:
            named.exists()
