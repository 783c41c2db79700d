"""Replies at the door of a real doorbell: what was recorded is what is heard."""

from __future__ import annotations

import io
import json
import subprocess
import wave
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from console_browsers import CHROMIUM, Console, Enter, pair
from numpy.typing import NDArray

from doorbell.console.routing import Role
from doorbell.control.client import Client
from doorbell.errors import RefusedError
from doorbell.outputs.sound.speech import speak
from doorbell.outputs.sound.synthesis import attention, resampled, wav_of
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.console_process import ConsoleProcess
from doorbell.testbed.daemon_process import DOORBELL, WATCHING, DaemonProcess, run_command
from doorbell.testbed.hearing import likeness
from doorbell.testbed.recordings import encoded
from doorbell.testbed.sound_card import SoundCard
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.system

SPOKEN = "I am in the garden behind the house, please come round to the gate on the left"

EMPTY_PORCH = "appearances = []\nduration_seconds = 600.0\n"
# Chromium's microphone is a file, which it begins anew at its end.
BROWSER = (
    *("--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
    "--host-resolver-rules=MAP house.test 127.0.0.1",
)
LOOKS_MS = 30_000  # what reads recordings is started for the first one


@dataclass
class House:
    directory: Path
    card: SoundCard
    broker: Mosquitto

    def called(self, *words: str) -> subprocess.CompletedProcess[str]:
        setting = ("--config", "/dev/null", "--set", f"storage.directory={self.directory}")
        return subprocess.run(
            [*DOORBELL, *words, *setting], check=False, capture_output=True, text=True
        )

    def reply(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.called("reply", *words)

    def client(self) -> Client:
        return Client.connect(self.directory / "doorbell.sock")

    def sound_of(self, reply_id: str) -> tuple[NDArray[np.float64], int]:
        with self.client() as client:
            content = client.ask("replies.sound", reply_id=reply_id).blob
        with wave.open(io.BytesIO(content)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            return samples.astype(np.float64), file.getframerate()

    def heard(self, seconds: float) -> NDArray[np.float64]:
        assert eventually(lambda: self.card.has_recorded(seconds), 15.0)
        return self.card.take()


@pytest.fixture(scope="module")
def house(
    models_directory: Path,  # noqa: ARG001 - built for the daemon
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("replies")
    card = SoundCard(directory)
    broker = Mosquitto(tmp_path_factory.mktemp("broker"), "allow_anonymous true")
    scene = directory / "porch.toml"
    scene.write_text(EMPTY_PORCH, encoding="utf-8")
    command = run_command(
        f"camera.uri=simulated:{scene}", "camera.frames_per_second=4", "inference.threads=1",
        f"storage.directory={directory}",
        "mqtt.enabled=true", "mqtt.allow_settings=true", f"mqtt.port={broker.port}",
    )  # fmt: skip
    with broker, DaemonProcess(command, directory / "log", environment=card.environment) as daemon:
        assert daemon.says(WATCHING)
        yield House(directory, card, broker)


def test_a_recording_that_was_added_is_heard_at_the_door_after_two_notes(
    house: House, tmp_path: Path
) -> None:
    voice = speak("The parcel goes to number seven", "en")
    file = tmp_path / "number seven.mp3"
    file.write_bytes(encoded(voice, "voice.mp3"))
    added = house.reply("add", str(file))
    assert added.returncode == 0, added.stderr
    listed = json.loads(house.reply("list", "--json").stdout)
    own = [each for each in listed if each["is_recording"]]
    assert [(each["label"], round(each["seconds"])) for each in own] == [
        ("number seven", round(voice.seconds))
    ]
    assert [each["reply_id"] for each in listed][:2] == ["coming", "moment"]
    reply_id = own[0]["reply_id"]
    said = house.reply("say", reply_id)
    assert said.stdout == "said at the door: number seven\n"
    sent, rate = house.sound_of(reply_id)
    heard = house.heard(attention().seconds + len(sent) / rate)
    notes = attention().samples[:, 0]
    how_alike, began = likeness(heard, sent)
    assert how_alike > 0.99
    assert likeness(heard[:began], notes[: began - 1])[0] > 0.99
    assert abs(began - len(notes)) <= 2
    # That is what was recorded, but for what MP3 leaves out; espeak-ng gives half the rate.
    assert likeness(heard[::2], voice.samples[:, 0])[0] > 0.95
    assert house.reply("rename", reply_id, "Number 7").returncode == 0
    assert house.reply("delete", "--yes", reply_id).stdout == "the reply 'Number 7' is deleted\n"
    assert sorted(path.name for path in (house.directory / "replies").iterdir()) == ["index.json"]


def test_a_built_in_reply_is_spoken(house: House) -> None:
    assert house.reply("say", "parcel").returncode == 0
    sent, rate = house.sound_of("parcel")
    heard = house.heard(attention().seconds + len(sent) / rate)
    # aplay fills its last eighth of a second.
    rest = len(heard) / 44100 - attention().seconds - len(sent) / rate
    assert -0.01 < rest < 0.14
    # espeak-ng's 22,050 samples a second are half of the notes'.
    assert likeness(heard[::2], sent)[0] > 0.95


def test_what_is_no_reply_and_no_recording_is_refused_in_words(
    house: House, tmp_path: Path
) -> None:
    none = house.reply("say", "nothing-of-that-name")
    assert none.returncode == 2
    assert "there is no reply" in none.stderr
    text = tmp_path / "letter.ogg"
    text.write_text("Dear Sir or Madam")
    refused = house.reply("add", str(text))
    assert refused.returncode == 2
    assert "not a WAV, MP3, M4A or Ogg file" in refused.stderr
    assert house.reply("add", str(tmp_path / "none.wav")).returncode == 2
    with house.client() as client, pytest.raises(RefusedError, match="built in"):
        client.ask("replies.delete", reply_id="coming")


def test_home_automation_chooses_a_reply_and_its_button_says_it(house: House) -> None:
    with Subscriber(house.broker.port) as home:
        assert eventually(lambda: home.of("replies") != [])
        [document] = home.documents("homeassistant/device/doorbell_front-door/config")[-1:]
        select, button = (document["components"][key] for key in ("reply", "say_reply"))
        assert home.documents("replies")[-1]["chosen"] == select["options"][0] == "I am coming"
        chosen = select["options"][3]
        home.publish(select["command_topic"], chosen.encode())
        assert eventually(lambda: home.documents("replies")[-1]["chosen"] == chosen)
        home.publish(button["command_topic"], button["payload_press"].encode())
        sent, rate = house.sound_of("parcel")
        heard = house.heard(attention().seconds + len(sent) / rate)
        assert likeness(heard[::2], sent)[0] > 0.95
        assert home.documents("reply")[-1]["summary"] == f"said at the door: {chosen}"
        assert eventually(lambda: home.documents("door_speaker")[-1]["condition"] == "playing")
        home.publish("doorbell/front-door/say", b'{"reply": "nothing", "id": "7"}')
        assert eventually(lambda: home.documents("reply")[-1]["id"] == "7")
        assert not home.documents("reply")[-1]["done"]
        assert home.of("microphone")[-1:] == [b"OFF"]
        assert "speaker at the door: speaks\n" in house.called("status").stdout
        switch = document["components"]["announcements"]
        home.publish(switch["command_topic"], b"ON")
        assert eventually(lambda: home.documents("settings")[-1]["announcements"] is True)


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NDArray[np.float64]]:
    """What the browser hears, and a file of it."""
    sound = speak(SPOKEN, "en")
    path = tmp_path_factory.mktemp("microphone") / "said.wav"
    path.write_bytes(wav_of(sound))
    return path, resampled(sound, 16000)[:, 0].astype(np.float64)


@pytest.fixture(scope="module")
def browser(microphone: tuple[Path, NDArray[np.float64]]) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    options = [*BROWSER, f"--use-file-for-fake-audio-capture={microphone[0]}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def console(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    settings = ('console.names=["house.test"]', "console.plain_http=true")
    control = house.directory / "doorbell.sock"
    with ConsoleProcess(tmp_path_factory.mktemp("console"), control, *settings) as process:
        yield Console(process, process.origin)


def row(page: Page, name: str) -> Locator:
    return page.locator("#recordings .reply", has_text=name)


def test_a_file_is_sent_listened_to_said_renamed_and_deleted_on_the_page(
    house: House, enter: Enter
) -> None:
    member = enter(Role.MEMBER)
    page = member.open("/replies")
    voice = speak("We are at the neighbours", "en")
    content = encoded(voice, "voice.m4a")
    page.locator("#recording-file").set_input_files(
        {"name": "neighbours.m4a", "mimeType": "audio/mp4", "buffer": content}
    )
    name = page.locator("#recording-name")
    assert name.input_value() == "neighbours"
    name.fill("At the <b>neighbours</b>")
    page.get_by_role("button", name="Keep the recording").click()
    kept = row(page, "At the <b>neighbours</b>")
    kept.wait_for(timeout=LOOKS_MS)
    with page.expect_response("**/replies/recording-*.wav") as listened:
        kept.get_by_role("button", name="Listen").click()
    assert listened.value.ok
    kept.get_by_role("button", name="Say it").click()
    page.locator("#toasts", has_text="It is said at the door.").wait_for()
    heard = house.heard(attention().seconds + voice.seconds)
    assert likeness(heard[::2], voice.samples[:, 0])[0] > 0.9

    kept.locator("summary").click()
    kept.locator("input[name=name]").fill("Next door")
    kept.get_by_role("button", name="Rename").click()
    page.locator(".notice", has_text="The name is changed.").wait_for()
    row(page, "Next door").locator("summary").click()
    row(page, "Next door").get_by_role("button", name="Delete it for good").click()
    page.locator(".notice", has_text="The recording is deleted.").wait_for()
    assert row(page, "Next door").count() == 0

    member.watch.expected.append("422")
    page.locator("#recording-file").set_input_files(
        {"name": "letter.ogg", "mimeType": "audio/ogg", "buffer": b"Dear Sir or Madam"}
    )
    page.get_by_role("button", name="Keep the recording").click()
    page.locator("#recording-said", has_text="This is no WAV").wait_for()


def test_what_is_recorded_on_the_page_is_what_is_heard_at_the_door(
    house: House, enter: Enter, microphone: tuple[Path, NDArray[np.float64]]
) -> None:
    page = enter(Role.MEMBER, permissions=["microphone"]).open("/replies")
    page.locator("#record").click()
    page.get_by_role("button", name="Stop recording").wait_for()
    page.wait_for_timeout(2500)
    page.get_by_role("button", name="Stop recording").click()
    page.locator("#recording-name").fill("Garden")
    page.get_by_role("button", name="Keep the recording").click()
    row(page, "Garden").get_by_role("button", name="Say it").click()
    with house.client() as client:
        replies = client.ask("replies.list").document["replies"]
    [kept] = [each for each in replies if each["label"] == "Garden"]
    assert 2.0 < kept["seconds"] < 4.0
    heard = house.heard(attention().seconds + kept["seconds"] - 0.1)
    # Of 48,000 samples a second every third is one of the page's. Where other tests have the
    # processors, the browser may leave out some of what its microphone hears.
    spoken = heard[::3][round(16000 * (attention().seconds + 0.5)) :]
    pieces = [spoken[at : at + 4800] for at in range(0, len(spoken) - 4800, 4800)]
    said = np.tile(microphone[1], 2)
    # A part of something else is like it by 0.3.
    assert np.quantile([likeness(said, each)[0] for each in pieces if each.any()], 0.75) > 0.75


def test_without_https_the_page_says_what_recording_takes(
    console: Console, browser: Browser
) -> None:
    address = f"http://house.test:{console.process.port}"
    with browser.new_context(locale="en-GB") as context:
        page = context.new_page()
        pair(page, replace(console, address=address), Role.MEMBER)
        page.goto(f"{address}/replies")
        page.locator("#recording-said", has_text="begins with https").wait_for()
        assert page.locator("#record").is_disabled()
        assert page.locator("#recording-file").is_enabled()
