"""What happens to the building, one thing after the other, while visitors come."""

from __future__ import annotations

import time
from functools import partial

from doorbell.config import RecognitionSection, StorageSection
from doorbell.daemon.shared_gallery import FIRST_COPY_SECONDS
from doorbell.household.forgetting import forget_person
from doorbell.household.strangers import merge_alike
from doorbell.recognition.embedder import SFACE_ID
from doorbell.testbed.waiting import eventually
from housing.building import Building
from housing.machines import Machine
from housing.plan import (
    ANSWERS,
    AWAY,
    CATCHING_UP,
    CUT,
    HANGS,
    INSTALLED,
    KILLED,
    MENDED,
    PARTS,
    Played,
)
from housing.records import Searched
from housing.residents import name_of

# Of their part of the script.
KILLED_FOR, CUT_BEFORE = 0.5, 0.5
SETTLE_SECONDS = 60.0


def play(building: Building) -> Played:
    """Let everything happen."""
    fill_copies(building)
    search_server(building)
    answer(building)
    kill_server(building)
    freeze_server(building)
    take_server_away(building)
    if building.cable is not None:
        cut_network(building)
    install_anew(building)
    end(building)
    return building.played


def fill_copies(building: Building) -> None:
    """Start all machines, and wait until each knows everybody."""
    building.say("the machines start, and fill their copies")
    figures, began = building.played.figures, time.monotonic()
    for machine in building.all_machines:
        machine.start()
    building.until(building.have_followed, "the copies are not filled")
    figures["first_copies_seconds"] = time.monotonic() - began
    building.until(
        lambda: all(_knows_all(building, each) for each in building.all_machines),
        "somebody is not known at a door",
    )
    figures["everybody_known_seconds"] = time.monotonic() - began
    building.note_sizes()


def search_server(building: Building) -> None:
    """Ask the server who is most alike, as the web pages do of a visit."""
    building.say("the server is asked who is most alike")
    people, milliseconds = [], []
    for probe in building.played.probes:
        began = time.perf_counter()
        alike = building.gallery.templates_like(SFACE_ID, probe, people=1).people_like(probe, 1)
        milliseconds.append(1000 * (time.perf_counter() - began))
        people.append(alike[0][0].person_id if alike else 0)
    building.played.searched = Searched(people, milliseconds)


def answer(building: Building) -> None:
    """All is well; what the server has to do then."""
    with building.phase(ANSWERS):
        before = building.count()
        building.rest(ANSWERS)
        after = building.count()
    seconds = after.pop("at") - before.pop("at")
    building.played.figures["rates"] = {
        f"{name}_each_second": (after[name] - before[name]) / seconds for name in before
    }


def kill_server(building: Building) -> None:
    """The server is killed, and comes back."""
    with building.phase(KILLED):
        building.postgres.kill()
        building.rest(KILLED, KILLED_FOR)
        building.postgres.start()
        building.played.figures["caught_up_after_a_kill_seconds"] = building.catch_up()
        building.rest(KILLED)


def freeze_server(building: Building) -> None:
    """The server answers nothing, with its connections open."""
    with building.phase(HANGS):
        building.postgres.freeze()
        building.rest(HANGS)
    building.postgres.thaw()
    building.played.figures["caught_up_after_a_hang_seconds"] = building.catch_up()


def take_server_away(building: Building) -> None:
    """The server is away for an hour, and comes back."""
    figures = building.played.figures
    with building.phase(AWAY):
        building.postgres.stop()
        building.rest(AWAY)
        figures["writes_waiting_after_an_hour"] = sum(
            machine.asked("SELECT count(*) FROM outbox")[0][0] for machine in building.machines
        )
    with building.phase(CATCHING_UP):
        building.postgres.start()
        figures["caught_up_after_an_hour_seconds"] = building.catch_up()
        building.rest(CATCHING_UP)


def cut_network(building: Building) -> None:
    """One machine is cut off, and somebody is forgotten meanwhile."""
    figures, plan, machine = building.played.figures, building.plan, building.machines[0]
    cable, number = building.cable, plan.residents
    if cable is None:
        return
    with building.phase(CUT):
        cable.cut()
        building.rest(CUT, CUT_BEFORE)
        storage = StorageSection(directory=machine.folder.parent / "household")
        forget_person(building.gallery, name_of(number), storage, lambda _: None)
        began = time.time()
        figures["forgotten_number"] = number
        eventually(lambda: building.behind() == [machine.name], SETTLE_SECONDS)
        figures["forgotten_by_others_seconds"] = time.time() - began
        figures["named_as_missing"] = building.behind()
        building.rest(CUT)
    cable.mend()
    with building.phase(MENDED):
        began = time.time()
        eventually(lambda: not _knows(machine, number), SETTLE_SECONDS)
        figures["forgotten_by_the_last_seconds"] = time.time() - began
        eventually(lambda: machine.name not in building.behind(), SETTLE_SECONDS)
        figures["confirmed_by_the_last_seconds"] = time.time() - began
        figures["forgotten_everywhere_at"] = time.time()
        building.rest(MENDED)
    figures["copies_that_know_the_forgotten"] = sum(
        _knows(each, number) for each in building.machines
    )


def install_anew(building: Building) -> None:
    """The copy of the last machine is deleted."""
    figures, machine = building.played.figures, building.machines[-1]
    building.until(lambda: is_quiet(building), "visitors still come")
    building.played.shared.append(machine.stop())
    machine.delete_copy()
    last = PARTS.index(INSTALLED)
    machine.spec.script[:] = [each for each in machine.spec.script if each.part == last]
    machine.start()
    with building.phase(INSTALLED):
        began = time.time()
        machine.wait_ready(FIRST_COPY_SECONDS + SETTLE_SECONDS)
        figures["installed_anew_decides_seconds"] = time.time() - began
        building.until(building.have_followed, "the copy is not filled")
        figures["installed_anew_copied_seconds"] = time.time() - began
        building.until(lambda: _knows_all(building, machine), "somebody is not known at a door")
        figures["installed_anew_knows_all_seconds"] = time.time() - began
        figures["installed_anew_knows_all_at"] = time.time()
        building.rest(INSTALLED)


def end(building: Building) -> None:
    """Wait until nothing is on its way any more, and collect what everybody has noted."""
    building.say("the rush is over")
    figures, gallery = building.played.figures, building.gallery
    building.until(lambda: is_quiet(building), "visitors still come")
    building.until(
        lambda: (
            building.have_followed()
            and all(each.status["waiting"] == 0 for each in building.all_machines)
        ),
        "the machines have not followed",
    )
    figures["strangers_before_tidying"] = len(gallery.strangers.all())
    began = time.monotonic()
    # As a machine does once an hour.
    read = partial(gallery.templates, SFACE_ID)
    for _ in merge_alike(gallery, read, RecognitionSection(), undoable=True):
        pass
    figures["tidying_seconds"] = time.monotonic() - began
    figures["strangers_after_tidying"] = len(gallery.strangers.all())
    building.note_sizes()
    building.collect()


def is_quiet(building: Building) -> bool:
    """Whether nothing was told for two seconds."""
    before = [each.status["events"] for each in building.all_machines]
    time.sleep(2.0)
    return before == [each.status["events"] for each in building.all_machines]


def _knows_all(building: Building, machine: Machine) -> bool:
    gone = "forgotten_number" in building.played.figures
    return bool(machine.status.get("people") == building.plan.residents - gone)


def _knows(machine: Machine, number: int) -> bool:
    return bool(machine.asked("SELECT 1 FROM people WHERE id = ?", number))
