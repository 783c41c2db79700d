"""How large the building is, what happens to it, and what is noted of that."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice, permutations
from typing import Any

from doorbell.domain import Float32Array
from housing.door import Coming
from housing.records import Records, Searched
from housing.residents import Residents
from housing.script import meet_twice, write_rush

HOUR = 3600.0
DOORS_OF_MACHINE = 16
PAIRS = 8

# What happens, in order, and for how many hours of the script visitors come meanwhile.
ANSWERS, KILLED, HANGS, AWAY, CATCHING_UP, CUT, MENDED, INSTALLED = PARTS = (
    "answers",
    "is killed",
    "hangs",
    "is away",
    "is back",
    "is cut off",
    "is reached again",
    "is copied anew",
)
HOURS = dict(zip(PARTS, (1.0, 0.5, 0.5, 1.0, 0.5, 0.5, 0.5, 0.5), strict=True))


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

    @property
    def doors_of(self) -> list[list[str]]:
        """By machine."""
        count = -(-self.doors // DOORS_OF_MACHINE)
        names = [f"d{number:03}" for number in range(self.doors)]
        return [names[number::count] for number in range(count)]

    @property
    def plain_doors(self) -> list[str]:
        """Of the machine with a gallery of its own: as many as others have."""
        return [f"plain{number:02}" for number in range(len(self.doors_of[0]))]

    @property
    def strangers(self) -> int:
        """Faces that follow those of residents."""
        return max(self.residents // 10, 10)


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
        script: who came.
        pairs: faces that came to two doors while the server was away.
        phases: in order.
        figures: what was counted and timed on the way, by name.
        shared: what the machines with a copy have noted; a machine that was installed anew twice.
        plain: what the machine with a gallery of its own has.
        heard: by door, the documents of events at the broker.
        stored: visits on the server.
        searched: what the server's own index found; before anybody came.
    """

    plan: Plan
    residents: Residents
    probes: Float32Array
    script: list[Coming]
    pairs: list[int]
    phases: list[Phase] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    shared: list[Records] = field(default_factory=list)
    plain: list[Records] = field(default_factory=list)
    heard: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    stored: list[dict[str, Any]] = field(default_factory=list)
    searched: Searched | None = None


def write_script(plan: Plan) -> tuple[list[Coming], list[int]]:
    """Who comes, part by part; and the faces that come to two doors while the server is away."""
    doors = [door for each in (*plan.doors_of, plan.plain_doors) for door in each]
    script: list[Coming] = []
    for part, name in enumerate(PARTS):
        script += write_rush(
            doors,
            plan.residents,
            plan.strangers,
            part=part,
            visits=round(plan.visits * HOURS[name] * len(doors) / plan.doors),
            seconds=HOURS[name] * plan.hour,
            seed=plan.seed,
        )
    first = plan.residents + plan.strangers
    pairs = [(a[0], b[0]) for a, b in islice(permutations(plan.doors_of, 2), PAIRS)]
    script += meet_twice(pairs, first, PARTS.index(AWAY), HOURS[AWAY] * plan.hour)
    script.sort(key=lambda each: (each.part, each.at))
    return script, [first + number for number in range(len(pairs))]
