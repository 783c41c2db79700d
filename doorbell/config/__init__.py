"""TOML to frozen, validated sections."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, ValidationError, model_validator

from doorbell.config.console import ConsoleSection, address_of
from doorbell.config.control import ControlSection as ControlSection
from doorbell.config.doors import DoorId, require_apart, tables
from doorbell.config.doors import DoorSection as DoorSection
from doorbell.config.gallery import GallerySection as GallerySection
from doorbell.config.messages import describe, shown
from doorbell.config.notifications import NotificationsSection as NotificationsSection
from doorbell.config.section import Section
from doorbell.config.sound import AnnouncementsSection as AnnouncementsSection
from doorbell.config.sound import ChimeSection as ChimeSection
from doorbell.config.sound import RepliesSection as RepliesSection
from doorbell.config.sound import TalkSection as TalkSection
from doorbell.config.storage import DoorStorageSection as DoorStorageSection
from doorbell.config.storage import StorageSection as StorageSection
from doorbell.config.values import (
    Fraction,
    GpioLine,
    LocalPath,
    LooksPerSecond,
    QuarterTurns,
)
from doorbell.config.zones import Zones
from doorbell.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# The documented file has 14 kB; a larger one is none of ours, and TOML is parsed in memory.
MAX_BYTES = 1_000_000


WebAddress: TypeAlias = Annotated[
    str, Field(max_length=256, pattern=r"^https?://[!-~]+$", description="an http(s) address")
]


class DeviceSection(Section):
    """``[device]``: how home automation knows this doorbell."""

    id: DoorId = "front-door"
    name: Annotated[str, Field(min_length=1, max_length=64)] = "Front door"
    area: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    support_url: WebAddress | None = None
    configuration_url: WebAddress | None = None
    language: Literal["en", "de"] = "en"


class CameraSection(Section):
    """``[camera]``: where frames come from."""

    uri: str = "simulated:"
    uri_file: LocalPath | None = None
    user: Annotated[str, Field(min_length=1)] | None = None
    password_file: LocalPath | None = None
    rotate: QuarterTurns = 0
    backend: Literal["auto", "simulated", "opencv", "jetson"] = "auto"
    width: Annotated[int, Field(ge=0, le=7680)] = 0
    height: Annotated[int, Field(ge=0, le=4320)] = 0
    frames_per_second: Annotated[float, Field(ge=0.0, le=240.0)] = 0.0
    timeout_seconds: Annotated[float, Field(gt=0.0, le=60.0)] = 2.0
    stuck_seconds: Annotated[float, Field(gt=0.0, le=600.0)] = 8.0
    reopen_max_seconds: Annotated[float, Field(gt=0.0, le=3600.0)] = 30.0
    dark_seconds: Annotated[float, Field(ge=0.0, le=3600.0)] = 60.0
    frozen_seconds: Annotated[float, Field(ge=0.0, le=3600.0)] = 30.0
    expose_faces: bool = False
    realtime: bool = True
    loop: bool = False

    @model_validator(mode="after")
    def _one_address(self) -> CameraSection:
        if self.uri_file is not None and self.uri != "simulated:":
            msg = "uri and uri_file are two addresses of one camera: leave one out"
            raise ValueError(msg)
        if self.password_file is not None and self.user is None:
            msg = "password_file does nothing without user: set that too"
            raise ValueError(msg)
        return self


class InferenceSection(Section):
    """``[inference]``: what runs the networks."""

    backend: Literal["auto", "openvino", "tensorrt"] = "auto"
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    precision: Literal["auto", "float32", "float16", "bfloat16", "int8"] = "auto"
    models_directory: LocalPath | None = None
    cache_directory: LocalPath | None = None


class DetectionSection(Section):
    """``[detection]``: finding faces."""

    score_threshold: Fraction = 0.5
    blend_iou: Fraction = 0.3
    tile_pixels: Annotated[int, Field(ge=64, le=2048)] = 256
    tile_overlap: Annotated[float, Field(ge=0.0, le=0.75)] = 0.5
    regions_per_frame: Annotated[int, Field(ge=3, le=64)] = 8
    far_tile_pixels: Annotated[int, Field(ge=64, le=2048)] = 256
    far_regions_per_frame: Annotated[int, Field(ge=0, le=64)] = 1
    still_agreement: Fraction = 0.44
    person_looks_per_second: LooksPerSecond = 2.0
    person_score_threshold: Fraction = 0.6
    ignore: Zones = ()


class TrackingSection(Section):
    """``[tracking]``: faces of one frame to faces of the next."""

    confirm_hits: Annotated[int, Field(ge=1, le=30)] = 3
    lost_seconds: Annotated[float, Field(gt=0.0, le=30.0)] = 1.5


class RecognitionSection(Section):
    """``[recognition]``: who a face is."""

    min_face_pixels: Annotated[int, Field(ge=16, le=1024)] = 18
    min_quality: Fraction = 0.25
    risk: Annotated[float, Field(ge=0.0001, le=0.1)] = 0.001
    stranger_similarity: Fraction = 0.5
    min_frames: Annotated[int, Field(ge=2, le=100)] = 3
    decide_within_seconds: Annotated[float, Field(gt=0.0, le=60.0)] = 2.0
    embeddings_per_second: Annotated[float, Field(gt=0.0, le=60.0)] = 10.0
    min_live: Fraction = 0.3


class VisitsSection(Section):
    """``[visits]``: tracks to visits."""

    absence_seconds: Annotated[float, Field(gt=0.0, le=3600.0)] = 5.0
    ring_on_visit: bool = True
    cooldown_seconds: Annotated[float, Field(ge=0.0, le=86400.0)] = 30.0
    announce_after_seconds: Annotated[float, Field(ge=0.0, le=600.0)] = 3.0


class AttentionSection(Section):
    """``[attention]``: whether a visitor looks at the door."""

    max_yaw_degrees: Annotated[float, Field(gt=0.0, le=90.0)] = 20.0
    max_pitch_degrees: Annotated[float, Field(gt=0.0, le=90.0)] = 15.0
    ring_after_seconds: Annotated[float, Field(ge=0.0, le=600.0)] = 0.0


class MqttSection(Section):
    """``[mqtt]``: home automation."""

    enabled: bool = False
    host: Annotated[str, Field(min_length=1)] = "localhost"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    username: str | None = None
    password_file: LocalPath | None = None
    tls: bool = False
    tls_ca_file: LocalPath | None = None
    tls_certificate_file: LocalPath | None = None
    tls_key_file: LocalPath | None = None
    allow_unencrypted: bool = False
    keepalive_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    publish_images: bool = True
    image_width: Annotated[int, Field(ge=160, le=7680)] = 1280
    image_quality: Annotated[int, Field(ge=10, le=95)] = 80
    late_seconds: Annotated[float, Field(ge=1.0, le=3600.0)] = 30.0
    outbox_days: Annotated[int, Field(ge=1, le=365)] = 7
    outbox_events: Annotated[int, Field(ge=100, le=100_000)] = 10_000
    outbox_megabytes: Annotated[int, Field(ge=1, le=100_000)] = 64
    allow_enroll: bool = False
    allow_forget: bool = False
    allow_name: bool = False
    allow_correct: bool = False
    allow_ignore: bool = False
    allow_settings: bool = False
    discovery: bool = True
    discovery_prefix: Annotated[
        str, Field(pattern=r"^[^#+\s]+$", description="a topic without spaces, + and #")
    ] = "homeassistant"

    @model_validator(mode="after")
    def _nothing_in_vain(self) -> MqttSection:
        needs = {
            "password_file": "username",
            "tls_ca_file": "tls",
            "tls_certificate_file": "tls",
            "tls_key_file": "tls_certificate_file",
        }
        for key, needed in needs.items():
            value = getattr(self, key)
            if value and not getattr(self, needed):
                msg = f"{key} does nothing without {needed}: set that too"
                raise ValueError(msg)
        return self


class GpioSection(Section):
    """What names one line of a GPIO chip; off while there is none."""

    line: GpioLine | None = None
    chip: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _a_number_needs_a_chip(self) -> GpioSection:
        if self.chip is None and self.line is not None and self.line.isdecimal():
            msg = f"line = {self.line} is a number in some chip: set chip too"
            raise ValueError(msg)
        if self.line is None and self.chip is not None:
            msg = f"chip = '{self.chip}' does nothing without line: set that too"
            raise ValueError(msg)
        return self


class ButtonSection(GpioSection):
    """``[button]``: a push button at the door."""

    active_low: bool = True
    bias: Literal["pull-up", "pull-down", "none"] = "pull-up"
    debounce_seconds: Annotated[float, Field(ge=0.0, le=1.0)] = 0.03
    cooldown_seconds: Annotated[float, Field(ge=0.0, le=60.0)] = 2.0


class RelaySection(GpioSection):
    """``[relay]``: a relay or lamp that is switched for a moment at each ring."""

    active_low: bool = False
    pulse_seconds: Annotated[float, Field(gt=0.0, le=60.0)] = 0.5
    when_silent: bool = False


class LogSection(Section):
    """``[log]``: what the journal gets."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Section):
    """The whole configuration; each part receives its own section only."""

    device: DeviceSection = DeviceSection()
    camera: CameraSection = CameraSection()
    inference: InferenceSection = InferenceSection()
    detection: DetectionSection = DetectionSection()
    tracking: TrackingSection = TrackingSection()
    recognition: RecognitionSection = RecognitionSection()
    visits: VisitsSection = VisitsSection()
    attention: AttentionSection = AttentionSection()
    # Only when it is needed: a user without a home directory has no default.
    storage: StorageSection = Field(default_factory=StorageSection)
    gallery: GallerySection = GallerySection()
    chime: ChimeSection = ChimeSection()
    announcements: AnnouncementsSection = AnnouncementsSection()
    talk: TalkSection = TalkSection()
    replies: RepliesSection = RepliesSection()
    notifications: NotificationsSection = NotificationsSection()
    mqtt: MqttSection = MqttSection()
    console: ConsoleSection = ConsoleSection()
    button: ButtonSection = ButtonSection()
    relay: RelaySection = RelaySection()
    control: ControlSection = ControlSection()
    log: LogSection = LogSection()
    door: Annotated[
        tuple[DoorSection, ...],
        Field(description="sections, each of which begins with [[door]]"),
    ] = ()

    @model_validator(mode="after")
    def _doors_of_one_house(self) -> Config:
        require_apart(self.doors)
        return self

    @property
    def doors(self) -> tuple[Config, ...]:
        """The configuration of each door, none of which has doors; of this one where it is one.

        Raises:
            ValueError: one is wrong; not once this is validated.
        """
        if not self.door:
            return (self,)
        return tuple(self._of(door) for door in self.door)

    def _of(self, door: DoorSection) -> Config:
        try:
            config = Config.model_validate(tables(self, door))
        except ValidationError as exc:
            _, *wrong = describe(exc, "", Config).splitlines()
            msg = f"the door {door.id!r}: " + "; ".join(line.strip() for line in wrong)
            raise ValueError(msg) from None
        storage = DoorStorageSection(**config.storage.model_dump(), door_id=door.id)
        return config.model_copy(update={"storage": storage})


def known_as(config: Config) -> DeviceSection:
    """``[device]`` as home automation is told of it: with the console's address, if it has one."""
    device, console = config.device, config.console
    if device.configuration_url is not None or not console.enabled or console.is_loopback:
        return device
    return device.model_copy(update={"configuration_url": address_of(console)})


def control_socket(config: Config) -> Path:
    """Where the running doorbell can be asked."""
    return config.control.socket or config.storage.directory / "doorbell.sock"


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """Read and validate a configuration.

    Args:
        path: a TOML file; None for the defaults alone.
        overrides: ``section.key=value`` each, the value in TOML; a bare word is a string.

    Raises:
        ConfigError: with every wrong key, its value, what is allowed and the file.
    """
    tree = {} if path is None else _read_toml(path)
    for override in overrides:
        _apply_override(tree, override)
    source = "the defaults" if path is None else str(path)
    if overrides:
        source += " with --set"
    tree.setdefault("storage", {})  # its default is looked at as what is given is, and named
    try:
        return Config.model_validate(tree)
    except ValidationError as exc:
        raise ConfigError(describe(exc, source, Config)) from exc


# The parser's own error is a ValueError, and so is that of a number with too many digits; the other
# is of what is nested too deeply.
_NOT_TOML = (ValueError, RecursionError)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigError(
                f"{path} has more than {MAX_BYTES / 1e6:.0f} MB: is it a configuration? "
                "Give another with --config"
            )
        return tomllib.loads(content.decode("utf-8-sig"))  # some editors put a mark before it
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not UTF-8 text: {exc}; save it as UTF-8") from exc
    except _NOT_TOML as exc:
        raise ConfigError(f"{path} is not valid TOML: {exc}; mend that line") from exc
    except OSError as exc:
        raise ConfigError(
            f"cannot read the configuration {path}: {exc.strerror}; give another with --config"
        ) from exc


def _apply_override(tree: dict[str, Any], override: str) -> None:
    name, separator, text = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (separator and dot and section and key):
        raise ConfigError(
            f"--set {override!r} is not of the form section.key=value, "
            "as in --set camera.uri=/dev/video0"
        )
    try:
        override.encode()
    except UnicodeEncodeError as exc:
        raise ConfigError(f"--set {override!r} is not UTF-8 text; write it in UTF-8") from exc
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except _NOT_TOML:
        value = text
    table = tree.setdefault(section, {})
    if not isinstance(table, dict):
        raise ConfigError(f"--set {override!r}: {section} is no section but {shown(table)}")
    table[key] = value
