from __future__ import annotations

import json
import re
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from doorbell.config import Config, load_config
from doorbell.config.notifications import TargetSection
from doorbell.errors import ConfigError

SHIPPED = Path(__file__).parent.parent / "config" / "doorbell.toml"

# Several doors have a table each, which is tried elsewhere.
PLAIN = [(section, model) for section, model in Config() if section != "door"]
SECTIONS: dict[str, type[BaseModel]] = {section: type(model) for section, model in PLAIN}
# There may be several of this one, and it is no section by itself.
SEVERAL = "notifications.targets"
SECTIONS[SEVERAL] = TargetSection
KEYS = [
    place
    for section, model in PLAIN
    for key in type(model).model_fields
    for place in (
        [(SEVERAL, each) for each in TargetSection.model_fields]
        if f"{section}.{key}" == SEVERAL
        else [(section, key)]
    )
]

# Text that TOML can carry, and hardly anybody would type.
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
settings = st.fixed_dictionaries(
    {},
    optional={
        "device.name": texts,
        "camera.uri": texts,
        "camera.width": st.integers(0, 7680),
        "camera.timeout_seconds": st.floats(0.001, 60.0),
        "camera.loop": st.booleans(),
        "recognition.risk": st.floats(1e-4, 0.1),
        "visits.cooldown_seconds": st.floats(0.0, 86400.0),
        "mqtt.port": st.integers(1, 65535),
        "log.level": st.sampled_from(["debug", "info", "warning", "error"]),
    },
)


def as_toml(value: object) -> str:
    # JSON's strings, numbers and booleans are TOML's too.
    return json.dumps(value, ensure_ascii=False)


def value_of(config: Config, name: str) -> Any:
    section, key = name.split(".")
    return getattr(getattr(config, section), key)


@given(settings=settings)
def test_what_is_set_is_what_is_read_by_file_and_by_override(
    settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.toml"
    path.write_text(
        "".join(f"{name} = {as_toml(value)}\n" for name, value in settings.items()),
        encoding="utf-8",
    )

    from_file = load_config(path)
    from_overrides = load_config(None, [f"{name}={as_toml(v)}" for name, v in settings.items()])

    assert {name: value_of(from_file, name) for name in settings} == settings
    assert from_file == from_overrides
    assert load_config(path, ["device.name=other"]).device.name == "other"


def test_the_shipped_file_says_the_defaults() -> None:
    assert load_config(SHIPPED) == Config()


def shipped_comments() -> dict[tuple[str, str], str]:
    """The comment of each key of the shipped file; one may be for the several keys below it."""
    comments: dict[tuple[str, str], str] = {}
    section, comment, complete = "", "", True
    for line in SHIPPED.read_text(encoding="utf-8").splitlines():
        if header := re.fullmatch(r"(?:# \[)?\[([\w.]+)\]+", line):
            section, complete = header[1], True
        elif key := re.match(r"(?:# )?(\w+) = ", line):
            comments[section, key[1]], complete = comment, True
        else:
            comment, complete = line if complete else f"{comment}\n{line}", False
    return comments


def test_the_shipped_file_names_and_explains_every_key() -> None:
    comments = shipped_comments()

    assert list(comments) == KEYS
    assert {key for key, comment in comments.items() if not comment.startswith("# ")} == set()


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_the_shipped_file_says_what_each_key_takes(section: str, key: str) -> None:
    comment = shipped_comments()[section, key]
    schema = SECTIONS[section].model_json_schema()["properties"][key]

    for choice in schema.get("enum", []):
        assert f'"{choice}"' in comment
    if schema.get("type") in ("integer", "number"):
        least = schema.get("minimum", schema.get("exclusiveMinimum"))
        limits = {f"{least:g}", f"{schema['maximum']:g}"}
        assert limits <= set(re.findall(r"\b\d+(?:\.\d+)?\b", comment)), comment


@pytest.mark.parametrize("left_out", ["address_file", "webhook|secret_file"])
def test_the_optional_keys_of_the_shipped_file_load_when_uncommented(
    tmp_path: Path, left_out: str
) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    before, _, several = text.partition(f"# [[{SEVERAL}]]")
    of_target, _, after = several.partition("\n\n")
    optional = re.findall(r"^# (\w+) = ", before + after, flags=re.MULTILINE)
    text = re.sub(rf"^# ({left_out}) = .*\n", "", text, flags=re.MULTILINE)
    # Files that belong to a feature which is off are refused, so the feature goes on.
    text = re.sub(r"^# (\w+ = |\[\[)", r"\1", text, flags=re.MULTILINE)
    path = tmp_path / "all.toml"
    path.write_text(text.replace("tls = false", "tls = true"), encoding="utf-8")

    config = load_config(path)

    assert optional == [
        key
        for section, key in KEYS
        if section != SEVERAL and value_of(Config(), f"{section}.{key}") is None
    ]
    assert config.chime.quiet_from == time(22, 0)
    assert config.mqtt.username == "doorbell"
    [target] = config.notifications.targets
    assert target.people == ("Ben",)
    assert re.findall(r"^# (\w+) = ", of_target, flags=re.MULTILINE) == list(
        TargetSection.model_fields
    )


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_a_wrong_value_is_answered_with_key_value_what_is_allowed_and_file(
    tmp_path: Path, section: str, key: str
) -> None:
    path = tmp_path / "doorbell.toml"
    header, place = (f"[[{SEVERAL}]]", ".0") if section == SEVERAL else (f"[{section}]", "")
    path.write_text(f"{header}\n{key} = [7]\n", encoding="utf-8")
    answer = rf"  {section}{place}\.{key} = \[7\]: must be \w+"

    with pytest.raises(ConfigError, match=answer) as caught:
        load_config(path)

    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("camera.width=-1", "camera.width = -1: must be a whole number from 0 to 7680"),
        ("camera.timeout_seconds=0", "must be a number above 0 and at most 60"),
        ("camera.timeout_seconds=nan", "must be a number above 0 and at most 60"),
        ("chime.volume=1.5", "chime.volume = 1.5: must be a number from 0 to 1"),
        ("chime.quiet_from=25:00", "'25:00': must be a time of day, as in 22:00:00"),
        ("camera.backend=gpu", "'gpu': must be one of auto, simulated, opencv, jetson"),
        ("camera.loop=perhaps", "camera.loop = 'perhaps': must be true or false"),
        ("device.id=my door", "device.id = 'my door': must be 1 to 64 letters, digits, - and _"),
        ("device.name=''", "device.name = '': must be text of 1 to 64 characters"),
        ("mqtt.host=''", "mqtt.host = '': must be text that is not empty"),
        ("mqtt.discovery_prefix=a/#", "'a/#': must be a topic without spaces, + and #"),
        ("storage.directory=3", "storage.directory = 3: must be a path"),
        ("storage.directory=~nobody-of-that-name/x", "write it in full"),
    ],
)
def test_each_kind_of_limit_is_told(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(None, [override])


@pytest.mark.parametrize(
    ("zones", "message"),
    [
        ("[[0, 0], [1, 1]]", "each a list of corners, not [0, 0]: [[[0, 0], [0.3, 0], [0.3, 1]]]"),
        ("['left']", "must be a list of zones, each a list of corners, not 'left': [[[0, 0],"),
        ("[[[0, 0], [1, 1]]]", "must be zones of 3 corners or more, this one has 2"),
        ("[[[0, 0], [100, 0], [1, 1]]]", "must be zones of corners [x, y], not [100, 0]: parts of"),
        ("[[[0, 0], [1, -0.1], [1, 1]]]", "not [1, -0.1]: parts of the width and height of the"),
        ("[[[0, 0], [1, 0, 0], [1, 1]]]", "not [1, 0, 0]: parts of the width and height"),
        ("[[[0, 0], [nan, 0], [1, 1]]]", "not [nan, 0]: parts of the width and height"),
        ("[[[0, 0], [true, 0], [1, 1]]]", "not [True, 0]: parts of the width and height"),
        ("[[[0, 0], [0.5, 0.5], [1, 1]]]", "this one has 0: its corners lie on one line, or its"),
        ("[[[0, 0], [1, 1], [1, 0], [0, 1]]]", "this one has 0: its corners lie on one line, or"),
        ("0.5", "detection.ignore = 0.5: must be a list of at most 64 zones, each a list of"),
    ],
)
def test_zones_that_cannot_be_meant_are_told_with_what_to_write(zones: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load_config(None, [f"detection.ignore={zones}"])
    assert "detection.ignore = " in str(caught.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ('nam = "anna"', "notifications.targets.0.nam: there is no such key; did you mean name?"),
        ('name = "Anna"', "targets.0.name = 'Anna': must be a short name, as in anna"),
        ('name = "a"', "targets.0: give either address_file or webhook"),
        ('name = "a"\nwebhook = "https://h/"', "webhook and secret_file belong together"),
        ('name = "a"\nwebhook = "ftp://u:secret@h/"', "must be an http(s) address"),
        ('name = "a"\ntell = ["doorbell"]', "must be a list of kinds: ring, stranger, person"),
        ('name = "a"\naddress_file = "/f"\npeople = ["Ben"]', 'nothing without "person" in tell'),
        ('name = "a"\nper_hour = 0', "0.per_hour = 0: must be a whole number from 1 to 1000"),
    ],
)
def test_a_target_that_cannot_be_meant_is_told_with_its_place(
    tmp_path: Path, target: str, message: str
) -> None:
    path = tmp_path / "doorbell.toml"
    path.write_text(f"[[{SEVERAL}]]\n{target}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert message in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_what_is_no_target_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "doorbell.toml"
    path.write_text("[notifications]\ntargets = [7]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"targets\.0 = 7: this is a section: write \[\[notif"):
        load_config(path)
    path.write_text("[notifications]\ntargets = 7\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"targets = 7: must be tables \[\[notifications.targets"):
        load_config(path)
    path.write_text(f"[[{SEVERAL}]]\nname = 'a'\naddress_file = '/f'\n" * 2, encoding="utf-8")
    with pytest.raises(ConfigError, match="each target has a name of its own"):
        load_config(path)


def test_zones_are_read_as_polygons() -> None:
    zones = "[[[0, 0], [0.5, 0], [0.5, 1]], [[1, 1], [0.6, 1], [0.6, 0.2], [1, 0.2]]]"
    left, right = load_config(None, [f"detection.ignore={zones}"]).detection.ignore
    assert left == ((0, 0), (0.5, 0), (0.5, 1))
    assert len(right) == 4


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["chime.quiet_from=22:00:00"], "set both or neither"),
        (["mqtt.tls_ca_file=ca.pem"], "tls_ca_file does nothing without tls"),
        (
            ["mqtt.tls=true", "mqtt.tls_key_file=k.pem"],
            "tls_key_file does nothing without tls_certificate_file",
        ),
        (["mqtt.password_file=secret"], "does nothing without username"),
        (["button.line=105"], "line = 105 is a number in some chip: set chip too"),
        (["relay.chip=gpiochip0"], "chip = 'gpiochip0' does nothing without line"),
        (["button.line=true"], "button.line = True: must be a line's name"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(None, overrides)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("camera.widht=3", "camera.widht = 3: there is no such key; did you mean width?"),
        ("kamera.width=3", "kamera: there is no such key; did you mean camera?"),
        ("log.x=3", "log.x = 3: there is no such key; the keys are level"),
        ("zzz.x=3", "zzz: there is no such key; the sections are device, camera,"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(None, [override])


@pytest.mark.parametrize(
    "overrides",
    [
        ["mqtt.password=swordfish"],
        ["mqtt.password_file=swordfish"],
        ["camera.url=rtsp://anna:swordfish@camera/door"],
        ["camera.uri=rtsp://anna:swordfish@camera/door", "camera.uri_file=/etc/doorbell/camera"],
        ["camera.uri=['rtsp://anna:swordfish@camera/door']"],
        ["camera=1", "camera.uri=rtsp://anna:swordfish@camera/door"],
    ],
)
def test_a_password_in_a_wrong_configuration_is_not_shown(overrides: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, overrides)

    assert "swordfish" not in str(caught.value)


def test_every_wrong_key_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, ["camera.width=-1", "mqtt.port=0"])

    assert "camera.width" in str(caught.value)
    assert "mqtt.port" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[camera\n", "is not valid TOML"),
        (b"name = 'caf\xe9'", "is not UTF-8 text"),
        (b"camera = 3", "camera = 3: this is a section: write [camera] and its keys below"),
    ],
)
def test_a_file_that_cannot_be_read_as_configuration_is_named(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "doorbell.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load_config(path)

    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(ConfigError, match=re.escape(f"cannot read the configuration {path}")):
            load_config(path)


@pytest.mark.parametrize("override", ["camera.uri", "uri=x", ".uri=x", "camera.=x", "=", ""])
def test_an_override_of_another_form_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(repr(override))):
        load_config(None, [override])


def test_an_override_cannot_turn_a_value_into_a_section(tmp_path: Path) -> None:
    path = tmp_path / "doorbell.toml"
    path.write_text("camera = 3\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="camera is no section but 3"):
        load_config(path, ["camera.width=3"])


@pytest.mark.parametrize(
    ("override", "uri"),
    [
        ("camera.uri=rtsp://door/1?a=b", "rtsp://door/1?a=b"),
        ("camera.uri='two words'", "two words"),
        ("camera.uri=", ""),
    ],
)
def test_an_override_may_be_a_bare_word_or_toml(override: str, uri: str) -> None:
    assert load_config(None, [override]).camera.uri == uri


def test_home_is_expanded_in_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")

    config = load_config(
        None, ["storage.directory=~/door", "mqtt.password_file=~/pw", "mqtt.username=x"]
    )

    assert config.storage.gallery_path == Path("/home/somebody/door/gallery.sqlite")
    assert config.storage.pictures_directory == Path("/home/somebody/door/pictures")
    assert config.mqtt.password_file == Path("/home/somebody/pw")


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Config().camera.width = 3  # type: ignore[misc]  # the type checker refuses it as well
