"""The add-on of Home Assistant: what its options become, and that each is offered in words."""

from __future__ import annotations

import datetime as dt
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tomli

from doorbell.config import load_config

yaml: Any = pytest.importorskip("yaml")

FOLDER = Path(__file__).parent.parent / "config" / "home-assistant" / "doorbell"
CONFIG = yaml.safe_load((FOLDER / "config.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def start() -> ModuleType:
    spec = spec_from_file_location("start", FOLDER / "start.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_options_become_a_configuration_that_the_daemon_takes(
    start: ModuleType, tmp_path: Path
) -> None:
    broker = {"host": "core-mosquitto", "port": 1883, "ssl": False}
    file = tmp_path / "doorbell.toml"
    file.write_text(start.toml(start.settings(CONFIG["options"], broker)), "utf-8")
    config = load_config(file, [])
    assert config.camera.uri == "/dev/video0"
    assert (config.mqtt.enabled, config.mqtt.host) == (True, "core-mosquitto")
    assert config.storage.directory == Path("/data/doorbell")
    assert not load_config(None, []).mqtt.enabled  # which is what it is without a broker
    assert "mqtt" not in start.settings(CONFIG["options"], None)


def test_its_pages_are_for_the_ingress_alone(start: ModuleType, tmp_path: Path) -> None:
    options = {**CONFIG["options"], "home_assistant": ["https://home.example.org:8123/"]}
    file = tmp_path / "console.toml"
    file.write_text(start.toml(start.console_settings(options)), "utf-8")
    console = load_config(file, []).console
    assert console.names == ("home.example.org",)
    assert console.frame_ancestors == ("https://home.example.org:8123",)
    assert console.trusted_proxies == ("172.30.32.2",)
    assert not console.plain_http
    assert console.port == CONFIG["ingress_port"]
    assert "ports" not in CONFIG


def test_what_the_household_has_written_itself_stays_as_it_was(start: ModuleType) -> None:
    text = """
    [chime]
    quiet_from = 22:00:00
    volume = 0.5
    [detection]
    ignore = [[[0, 0], [0.5, 0], [0.5, 0.5]]]
    [notifications]
    enabled = true
    [[notifications.targets]]
    name = "ännä \\" \\\\"
    tell = ["ring"]
    """
    own = tomli.loads(text)
    assert own["chime"]["quiet_from"] == dt.time(22)
    assert tomli.loads(start.toml(own)) == own


def test_every_option_has_words_in_each_language() -> None:
    assert set(CONFIG["options"]) <= set(CONFIG["schema"])
    for language in ("en", "de"):
        words = yaml.safe_load((FOLDER / "translations" / f"{language}.yaml").read_text("utf-8"))
        assert set(words["configuration"]) == set(CONFIG["schema"])
        assert all(set(each) == {"name", "description"} for each in words["configuration"].values())


def test_what_ends_starts_again_and_a_wrong_configuration_ends_it_all(
    start: ModuleType,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    starts = tmp_path / "starts"
    # Killed at its first start, and wrong at its second.
    doorbell = f"echo >>{starts}; [ $(wc -l <{starts}) -gt 1 ] && exit 2; kill -9 $$"
    both = start.Both(
        {"the doorbell": ["sh", "-c", doorbell], "the web pages": ["sleep", "60"]}, 0.0
    )

    assert both.keep() == 2
    assert starts.read_text() == "\n\n"
    assert "the doorbell ended with -9 and starts again" in capfd.readouterr().err
