"""The live picture in a browser: how old it is, whose the boxes are, what is said without it."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from console_browsers import BEHIND_NGINX_IF_LONG, Enter, Visitor
from console_house import House
from console_live import overlap, watch

from doorbell.camera.simulated.frame_number import read_frame_number
from doorbell.console.routing import Role
from doorbell.control.client import Client
from doorbell.errors import ControlError
from doorbell.testbed.scenes import KNOWN
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

AGE_SECONDS = 0.4
FRAMES_PER_SECOND = 8.0
SAID_SECONDS = 3.0
# How long the page is watched for growth; longer by the variable.
SOAK_SECONDS = float(os.environ.get("DOORBELL_SOAK_SECONDS", "5"))
HEAP_BYTES = 10_000_000
# Other tests take the processors now and then, and one of these has to be without them.
WINDOWS = 6


def state(visitor: Visitor) -> str:
    return str(visitor.page.locator("#live-view").get_attribute("data-state"))


def opened(visitor: Visitor) -> Visitor:
    """Look at the door, once it is live."""
    visitor.open("/")
    visitor.page.wait_for_selector("#live-view[data-state=live]")
    return visitor


def age_seconds(visitor: Visitor) -> float:
    return max((each.age_seconds for each in watch(visitor.page, 0.5)), default=np.inf)


def heap_bytes(visitor: Visitor) -> float:
    """What the page's scripts hold once nothing is left that could go."""
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    used: float = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return used


@BEHIND_NGINX_IF_LONG
@pytest.mark.timeout(WINDOWS * SOAK_SECONDS + 120)
def test_the_picture_is_new_and_stays_so(enter: Enter) -> None:
    viewer = opened(enter(Role.VIEWER))
    watch(viewer.page, 1.0)
    heap = heap_bytes(viewer)
    for _ in range(WINDOWS):
        samples = watch(viewer.page, SOAK_SECONDS)
        ages = np.array([each.age_seconds for each in samples])
        shown = len({each.number for each in samples})
        is_new = np.quantile(ages, 0.95) <= AGE_SECONDS
        if is_new and shown / SOAK_SECONDS >= FRAMES_PER_SECOND:
            break

    assert np.quantile(ages, 0.95) <= AGE_SECONDS, np.quantile(ages, [0.5, 0.95, 1.0])
    assert shown / SOAK_SECONDS >= FRAMES_PER_SECOND
    quarter = len(ages) // 4
    assert np.median(ages[-quarter:]) - np.median(ages[:quarter]) < 0.1
    assert heap_bytes(viewer) - heap < HEAP_BYTES


class Frames:
    """Whose face the daemon finds where, by the number in the frame; gathered by a thread.

    As a context manager it gathers inside the block.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._gather)
        self.boxes: dict[int, list[tuple[float, ...]]] = {}

    def __enter__(self) -> "Frames":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _gather(self) -> None:
        with Client.connect(self._house.control) as client, client.frames(max_width=640) as frames:
            while not self._end.is_set():
                frame = frames.next(1.0)
                if frame is not None and (number := read_frame_number(frame.pixels)) is not None:
                    self.boxes[number] = [tuple(face["box"]) for face in frame.faces]


def test_boxes_lie_on_the_frame_that_they_belong_to(enter: Enter, house: House) -> None:
    viewer = opened(enter(Role.VIEWER))
    with Frames(house) as frames:
        house.camera.comes(KNOWN)
        samples = watch(viewer.page, 8.0, boxes=True)
    house.goes()
    found = [
        (sample.boxes, frames.boxes[sample.number])
        for sample in samples
        if sample.boxes is not None and sample.number in frames.boxes
    ]
    somebody = [(shown, there) for shown, there in found if shown or there]

    assert len(somebody) >= 10
    assert all(len(shown) == len(there) == 1 for shown, there in somebody), somebody
    assert min(overlap(shown[0], there[0]) for shown, there in somebody) >= 0.9
    # Whoever comes moves: the box of another frame would lie beside the face.
    first = somebody[0][1][0]
    assert min(overlap(first, there[0]) for _, there in somebody) < 0.8


def test_a_doorbell_that_stops_is_said_and_comes_back_without_a_reload(
    enter: Enter, house: House
) -> None:
    viewer = opened(enter(Role.VIEWER))
    viewer.page.evaluate("window.same = true")
    house.daemon.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        viewer.page.wait_for_selector("#live-view[data-state=stopped]")
        assert time.monotonic() - began < SAID_SECONDS
        words = viewer.page.locator("#live-view .live-words").inner_text()
        assert any(character.isdigit() for character in words), words
    finally:
        house.daemon.signal(signal.SIGCONT)
    viewer.page.wait_for_selector("#live-view[data-state=live]")
    assert viewer.page.evaluate("window.same")
    # The camera's own stream has waited for its reader meanwhile.
    assert eventually(lambda: age_seconds(viewer) <= AGE_SECONDS)


def answers(house: House) -> bool:
    try:
        with Client.connect(house.control) as client:
            return bool(client.ask("status").document["ok"])
    except ControlError:
        return False


def test_a_house_without_a_running_doorbell_says_so_until_it_runs(
    enter: Enter, house: House
) -> None:
    viewer = opened(enter(Role.VIEWER))
    viewer.watch.expected.append("503")
    assert house.daemon.terminate() == 0
    try:
        viewer.page.wait_for_selector("#live-view[data-state=stopped]", timeout=1000 * SAID_SECONDS)
        page = viewer.context.new_page()
        answer = page.goto(viewer.address + "/")
        assert answer is not None
        assert answer.status == 503
    finally:
        house.restart()
    page.wait_for_selector("#live-view[data-state=live]", timeout=20_000)
    viewer.page.wait_for_selector("#live-view[data-state=live]")
    assert eventually(lambda: answers(house))
