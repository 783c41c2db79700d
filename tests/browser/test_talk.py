"""Talking and listening at the door from a browser whose microphone is a file."""

from __future__ import annotations

import signal
import time
import wave
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import dropwhile, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from console_browsers import CHROMIUM, Console, Enter, pair
from numpy.typing import NDArray
from recordings import is_what_was_said, pieces

from doorbell.console.routing import Role
from doorbell.control.client import Client
from doorbell.control.requests.talk import TALK_RATE
from doorbell.outputs.sound.speech import speak
from doorbell.outputs.sound.synthesis import attention
from doorbell.testbed.console_process import ConsoleProcess
from doorbell.testbed.daemon_process import WATCHING, DaemonProcess, run_command
from doorbell.testbed.hearing import likeness
from doorbell.testbed.microphone import DEVICE, MicrophoneFile
from doorbell.testbed.paced_sound_card import Heard, PacedSoundCard
from doorbell.testbed.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.system

SPOKEN = (
    "The parcel goes under the bench beside the door, thank you. I am coming down in a minute, "
    "so please wait for me there."
)
HOLD_SECONDS = 2.0
# From letting go of the button to the first sound at the door.
SOON_SECONDS = 0.5
EMPTY_PORCH = "appearances = []\nduration_seconds = 600.0\n"
LIVE = "#live-view[data-state=live]"
LIGHT = "#microphone .microphone-open"
SPEAKING = "#talk [data-hold][data-state=speaking]"
# Tenths of a second: longer than two notes and a second of talking, and hardly shorter.
LISTENED_PIECES, TALKED_PIECES = 50, 10
# Other tests take the processors now and then, and one of these has to be without them.
TRIES = 3
# Keeps whatever a page sounds.
RECORD = """
window.heard = { rate: 0, samples: [] };
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...more) {
  if (to instanceof AudioDestinationNode && !(this instanceof ScriptProcessorNode)) {
    let place = 0;
    const tap = this.context.createScriptProcessor(4096, 1, 1);
    tap.onaudioprocess = (event) => {
      const samples = event.inputBuffer.getChannelData(0);
      const each = Math.floor(event.inputBuffer.sampleRate / 16000);  // nothing is above 8 kHz
      window.heard.rate = event.inputBuffer.sampleRate / each;
      for (; place < 4096; place += each) window.heard.samples.push(samples[place] * 32768 | 0);
      place -= 4096;
    };
    connect.call(this, tap);
    connect.call(tap, to);
  }
  return connect.call(this, to, ...more);
};
"""


@dataclass
class Porch:
    """A doorbell that runs, with a loudspeaker and a microphone.

    Attributes:
        control: its control socket.
        speaker: at the door.
        microphone: at the door.
        daemon: the process.
        said: what the browser's own microphone hears.
        heard: what the door's hears.
    """

    control: Path
    speaker: PacedSoundCard
    microphone: MicrophoneFile
    daemon: DaemonProcess
    said: NDArray[np.float64]
    heard: NDArray[np.float64]

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        with Client.connect(self.control) as client:
            return client.ask(verb, **arguments).document

    def status(self) -> dict[str, Any]:
        return self.ask("status")


def spoken(words: str) -> NDArray[np.float64]:
    """Speech as a telephone would carry it."""
    sound = speak(words, "en")
    at = np.arange(0, len(sound.samples) / sound.sample_rate, 1 / TALK_RATE)
    samples = sound.samples[:, 0].astype(np.float64)
    return np.asarray(np.interp(at * sound.sample_rate, np.arange(len(samples)), samples))


@pytest.fixture(scope="module")
def porch(
    models_directory: Path,  # noqa: ARG001 - built for the daemon
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Porch]:
    folder = tmp_path_factory.mktemp("porch")
    scene = folder / "porch.toml"
    scene.write_text(EMPTY_PORCH, encoding="utf-8")
    said = spoken(SPOKEN)
    # Longer than is listened: the microphone goes on with its end.
    heard = spoken(
        "Good morning, I have a letter for the second floor, and a parcel that somebody must sign."
    )
    with wave.open(str(folder / "said.wav"), "wb") as file:
        file.setparams((1, 2, TALK_RATE, 0, "NONE", ""))
        file.writeframes(said.astype("<i2").tobytes())
    microphone = MicrophoneFile(folder, heard.astype("<i2"))
    with PacedSoundCard(folder, device="door") as speaker:
        command = run_command(
            f"storage.directory={folder}",
            f"camera.uri=simulated:{scene}",
            "camera.frames_per_second=4",
            "chime.enabled=false",
            "talk.device=door",
            "talk.volume=1.0",
            "talk.microphone=true",
            f"talk.microphone_device={DEVICE}",
            "inference.threads=1",
        )
        environment = microphone.beside(speaker.environment)
        with DaemonProcess(command, folder / "log", environment=environment) as daemon:
            assert daemon.says(WATCHING), daemon.log_end
            yield Porch(folder / "doorbell.sock", speaker, microphone, daemon, said, heard)


@pytest.fixture(scope="module")
def browser(porch: Porch) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    options = [
        "--no-sandbox",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={porch.control.parent / 'said.wav'}",
        "--host-resolver-rules=MAP house.test 127.0.0.1",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def console(porch: Porch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    settings = ('console.names=["house.test"]', "console.plain_http=true")
    with ConsoleProcess(tmp_path_factory.mktemp("console"), porch.control, *settings) as process:
        yield Console(process, process.origin)


def hold(page: Page, seconds: float) -> float:
    """Hold the button, once it says that it hears, for so long; when it was let go, wall time."""
    button = page.locator("#talk [data-hold]")
    button.hover()
    page.mouse.down()
    page.wait_for_selector(SPEAKING)
    page.wait_for_timeout(1000 * seconds)
    let_go_at = time.time()
    page.mouse.up()
    return let_go_at


def talk(page: Page, porch: Porch, seconds: float = HOLD_SECONDS) -> tuple[Heard, float]:
    """Talk; what is heard at the door, and how long after letting go it began."""
    before = len(porch.speaker.heard)
    let_go_at = hold(page, seconds)
    page.locator(".talk-said", has_text="It is said at the door").wait_for()
    assert eventually(lambda: len(porch.speaker.heard) > before)
    sound = porch.speaker.heard[before]
    enough = (attention().seconds + seconds) * sound.sample_rate
    assert eventually(lambda: len(sound.samples) >= enough)
    return sound, sound.began_at - let_go_at


def listen(page: Page) -> list[NDArray[np.float64]]:
    """Begin to listen, and what is heard in the page within some seconds; it goes on."""
    page.evaluate("window.heard.samples = []")
    page.locator("[data-listen-door]").click()
    page.locator(LIGHT).wait_for()
    enough = "window.heard.samples.length > 3 * window.heard.rate && window.heard.rate > 0"
    assert eventually(lambda: bool(page.evaluate(enough)))
    told = page.evaluate("window.heard")
    return pieces(np.array(told["samples"], np.float64), told["rate"])


def test_what_is_said_while_the_button_is_held_is_heard_at_the_door_soon(
    enter: Enter, porch: Porch
) -> None:
    page = enter(Role.MEMBER, permissions=["microphone"]).open("/")
    page.wait_for_selector(LIVE)
    for _ in range(TRIES):
        sound, after_seconds = talk(page, porch)
        chime = attention().samples[:, 0]
        assert (sound.samples[: len(chime)] == chime).all()
        rest = pieces(sound.samples[len(chime) :], sound.sample_rate)
        if is_what_was_said(rest, porch.said) and after_seconds <= SOON_SECONDS:
            break
    assert is_what_was_said(rest, porch.said), [likeness(porch.said, each) for each in rest]
    assert not is_what_was_said(rest, porch.heard)
    assert after_seconds <= SOON_SECONDS


def test_talking_works_by_keyboard_and_by_touch_and_too_short_is_said(
    enter: Enter, porch: Porch
) -> None:
    member = enter(Role.MEMBER, has_touch=True, permissions=["microphone"])
    page = member.open("/")
    page.wait_for_selector(LIVE)
    button, said = page.locator("#talk [data-hold]"), page.locator(".talk-said")
    before = len(porch.speaker.heard)
    button.focus()
    page.keyboard.down(" ")
    page.keyboard.up(" ")
    said.get_by_text("too short").wait_for()
    page.keyboard.down("Enter")
    page.locator(SPEAKING).wait_for()
    said.get_by_text("15 s are left").or_(said.get_by_text("14 s are left")).wait_for()
    page.wait_for_timeout(500)
    page.keyboard.up("Enter")
    said.get_by_text("It is said at the door").wait_for()

    session = member.context.new_cdp_session(page)
    box = button.bounding_box()
    assert box is not None
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [place]})
    page.locator(SPEAKING).wait_for()
    page.wait_for_timeout(500)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.locator("#talk [data-hold][data-state=idle]").wait_for()
    said.get_by_text("It is said at the door").wait_for()
    assert eventually(lambda: len(porch.speaker.heard) == before + 2)


def test_the_door_is_heard_in_the_page_while_a_light_says_so_and_ends_with_it(
    enter: Enter, porch: Porch
) -> None:
    member, viewer = enter(Role.MEMBER), enter(Role.VIEWER)
    member.watch.expected.append("ScriptProcessorNode is deprecated")
    member.context.add_init_script(RECORD)
    page, other = member.open("/"), viewer.open("/wall")
    other.wait_for_selector(LIVE)
    assert not porch.status()["microphone"]["is_open"]
    assert other.locator(LIGHT).count() == 0
    for _ in range(TRIES):
        heard = listen(page)
        if is_what_was_said(heard, porch.heard):
            break
        page.locator("[data-listen-door]").click()
        page.locator(LIGHT).wait_for(state="detached")
    other.locator(LIGHT).wait_for()
    assert page.locator("[data-listen-door][aria-pressed=true]").count() == 1
    assert porch.status()["microphone"]["is_open"]
    assert is_what_was_said(heard, porch.heard), [likeness(porch.heard, each) for each in heard]
    assert not is_what_was_said(heard, porch.said)
    page.goto(f"{member.address}/visits")
    assert eventually(lambda: not porch.status()["microphone"]["is_open"], 2.0)
    other.locator(LIGHT).wait_for(state="detached")

    page = member.open("/")
    page.locator("[data-listen-door]").click()
    page.locator(LIGHT).wait_for()
    page.locator("[data-listen-door]").click()
    assert eventually(lambda: not porch.status()["microphone"]["is_open"], 2.0)
    viewer.open("/")
    assert viewer.page.locator("#talk").count() == 0  # whoever may only look


def test_whoever_listens_hears_nothing_of_what_is_said_at_the_door(porch: Porch) -> None:
    with Client.connect(porch.control) as listener, Client.connect(porch.control) as talker:
        told = (each.document["event"] for each in islice(listener.listen(), LISTENED_PIECES))
        assert next(told) == "sound"
        talker.ask("talk.say", porch.said[:TALK_RATE].astype("<i2").tobytes())
        withheld = list(dropwhile(lambda event: event == "sound", told))
    assert withheld.count("silent") >= TALKED_PIECES
    assert withheld[-1] == "sound"


def test_a_page_without_encryption_or_permission_says_why_nobody_can_talk(
    browser: Browser, console: Console, enter: Enter, porch: Porch
) -> None:
    plain = Console(console.process, f"http://house.test:{console.process.port}")
    with closing(browser.new_context()) as context:
        page = context.new_page()
        pair(page, plain, Role.MEMBER)
        page.locator(".talk-said", has_text="begins with https:").wait_for()
        page.locator("#talk [data-hold]").click()
        assert "https:" in page.locator(".talk-said").inner_text()

    member = enter(Role.MEMBER)
    page = member.open("/")
    page.locator("#talk [data-hold]").click(delay=300)
    page.locator(".talk-said", has_text="may not open the microphone").wait_for()
    assert not porch.status()["microphone"]["is_open"]


def test_who_opens_the_page_has_answered_and_the_tablet_on_the_wall_has_not(
    enter: Enter, porch: Porch
) -> None:
    wall = enter(Role.MEMBER).open("/wall")
    wall.wait_for_selector(LIVE)
    before = len(porch.speaker.heard)
    porch.ask("settings.change", reply_after_seconds=1)
    porch.ask("ring")
    assert eventually(lambda: len(porch.speaker.heard) == before + 1)
    wall.close()

    porch.ask("settings.change", reply_after_seconds=3)
    page = enter(Role.VIEWER)
    porch.ask("ring")
    rang_at = time.monotonic()
    with page.page.expect_response("**/answered") as answered:
        page.open("/")
    assert answered.value.status == 204
    assert time.monotonic() - rang_at < 3.0
    page.page.wait_for_timeout(1000 * (3.5 - (time.monotonic() - rang_at)))
    porch.ask("settings.change", reply_after_seconds=0)
    assert len(porch.speaker.heard) == before + 1


def test_the_page_says_by_itself_that_what_was_said_was_not_heard(
    enter: Enter, porch: Porch
) -> None:
    page = enter(Role.MEMBER).open("/replies")
    unheard = page.locator("#door-speaker", has_text="was not heard at the door")
    porch.speaker.unplug()
    page.locator("#built-in button[name=reply]").first.click()
    unheard.wait_for()
    porch.speaker.plug()
    page.locator("#built-in button[name=reply]").first.click()
    unheard.wait_for(state="detached")


def test_no_light_says_that_a_doorbell_which_does_not_answer_listens(
    enter: Enter, porch: Porch
) -> None:
    page = enter(Role.MEMBER).open("/")
    page.locator("[data-listen-door]").click()
    page.locator(LIGHT).wait_for()
    porch.daemon.signal(signal.SIGSTOP)
    try:
        page.locator(LIGHT).wait_for(state="hidden")
    finally:
        porch.daemon.signal(signal.SIGCONT)


# The microphone opens only once it is let to, as where the browser asks somebody.
SLOW_MICROPHONE = """
const open = MediaDevices.prototype.getUserMedia;
MediaDevices.prototype.getUserMedia = async function (wanted) {
  await new Promise((resolve) => (window.allow = resolve));
  return (window.opened = await open.call(this, wanted));
};
"""
CLOSED = "window.opened?.getTracks().every((track) => track.readyState === 'ended')"


def test_no_microphone_stays_open_behind_replies_that_were_left(enter: Enter) -> None:
    member = enter(Role.MEMBER, permissions=["microphone"])
    member.context.add_init_script(SLOW_MICROPHONE)
    page = member.open("/replies")
    page.locator("#record").click()
    assert eventually(lambda: bool(page.evaluate("Boolean(window.allow)")))
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    page.evaluate("allow()")
    assert eventually(lambda: bool(page.evaluate(CLOSED)))
