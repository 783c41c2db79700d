"""The gallery on a server: how it is spoken to, and what it does when that is away."""

import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from certificates import own_address
from command_line import sample
from galleries import OnServer, make_earlier, on_postgres, server

from doorbell.config import GallerySection, StorageSection
from doorbell.domain import FaceSample, Float32Array, Visit
from doorbell.errors import ConfigError, GalleryError, GalleryLostError
from doorbell.gallery.codec import StoredEmbedding
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.pipeline.visit_recorder import VisitRecorder
from doorbell.recognition.templates import directions
from doorbell.testbed.postgres import Postgres, find_postgres
from doorbell.testbed.waiting import eventually

pytestmark = on_postgres

MODEL = sample(0).model_id


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server that may be killed."""
    programs = find_postgres()
    assert programs is not None
    with Postgres(programs) as started:
        yield started


def open_on(section: GallerySection) -> Gallery:
    return Gallery.of(StorageSection(), section)


def new_database() -> tuple[str, GallerySection]:
    name = f"new_{uuid.uuid4().hex}"
    return name, GallerySection(url=server().create(name))


def address(url: str, **keys: object) -> object:
    from doorbell.gallery.postgres.address import address_of

    return address_of(GallerySection.model_validate({"url": url, **keys}))


@pytest.mark.parametrize(
    "host", ["database.example", "192.168.1.5", "8.8.8.8", "2001:db8::1", "localhost.example"]
)
def test_another_machine_is_spoken_to_with_verified_tls_only(host: str, tmp_path: Path) -> None:
    from psycopg.conninfo import conninfo_to_dict

    from doorbell.gallery.postgres.address import address_of

    place = f"[{host}]" if ":" in host else host
    url = f"postgresql://doorbell@{place}/house"
    for mode in ("disable", "prefer", "require", "verify-ca"):
        with pytest.raises(ConfigError, match=f"sslmode={mode}"):
            address(f"{url}?sslmode={mode}")
    said = conninfo_to_dict(address_of(GallerySection(url=url)).conninfo)
    assert (said["sslmode"], said["sslrootcert"]) == ("verify-full", "system")
    authority = tmp_path / "ca.pem"
    said = conninfo_to_dict(address_of(GallerySection(url=url, tls_ca_file=authority)).conninfo)
    assert (said["sslmode"], said["sslrootcert"]) == ("verify-full", str(authority))
    plain = conninfo_to_dict(address_of(GallerySection(url=url, allow_unencrypted=True)).conninfo)
    assert "sslmode" not in plain


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://doorbell@localhost/house?hostaddr=8.8.8.8&sslmode=disable",
        "postgresql://doorbell@localhost,database.example/house?sslmode=disable",
        "postgresql:///house?host=database.example&sslmode=prefer",
        "postgresql:///house?service=elsewhere",
        "postgresql://doorbell@localhost/house?options=-csearch_path%3Dpublic",
        "postgresql://doorbell@localhost/house?sslkey=/etc/passwd",
    ],
)
def test_no_way_around_tls_is_taken(url: str) -> None:
    with pytest.raises(ConfigError, match=r"gallery\.url says"):
        address(url)


def test_the_environment_is_no_way_around_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "database.example")
    with pytest.raises(ConfigError, match="over a network"):
        address("postgresql:///house?sslmode=disable")


def test_a_password_is_in_no_message(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret-of-the-file\n")
    file.chmod(0o600)
    folder = tmp_path / "no-server"
    folder.mkdir()
    for url, more in (
        (f"postgresql://anna:s3cret@/house?host={folder}", {}),
        (f"postgresql://anna@/house?host={folder}", {"password_file": file}),
        ("postgresql://anna:s3cret%zz@/house", {}),
    ):
        with pytest.raises((ConfigError, GalleryError)) as caught:
            open_on(GallerySection.model_validate({"url": url, **more}))
        told: BaseException | None = caught.value
        while told is not None:
            assert "s3cret" not in str(told)
            told = told.__cause__
        assert "s3cret" not in repr(caught.value)


def test_a_server_without_tls_is_not_spoken_to_over_a_network(own: Postgres) -> None:
    """By an address of this machine that is not loopback's: the password is not sent."""
    host = own_address()
    port = own.listen(host)
    url = f"postgresql://doorbell@{host}:{port}/postgres"
    with pytest.raises(GalleryError, match="does not support SSL"):
        open_on(GallerySection(url=url))
    with open_on(GallerySection(url=url, allow_unencrypted=True)) as gallery:
        assert gallery.people.all() == []


def test_a_gallery_without_pgvector_says_what_to_do() -> None:
    name, section = new_database()
    role = f"no_superuser_{uuid.uuid4().hex}"
    server().say(f"CREATE ROLE {role} LOGIN; GRANT ALL ON DATABASE {name} TO {role}")
    with pytest.raises(GalleryError, match="CREATE EXTENSION vector"):
        open_on(GallerySection(url=str(section.url).replace("doorbell@", f"{role}@")))


def test_a_later_version_is_refused() -> None:
    name, section = new_database()
    open_on(section).close()
    server().say("UPDATE doorbell.gallery SET version = 999", name)
    with pytest.raises(GalleryError, match="version 999, written by a later doorbell"):
        open_on(section)


PROGRAM = """
import sys
from doorbell.config import GallerySection, StorageSection
from doorbell.domain import Visit
from doorbell.gallery.gallery import Gallery
with Gallery.of(StorageSection(), GallerySection(url=sys.argv[1])) as gallery:
    for i in range(10):
        gallery.visits.save(Visit(f"{sys.argv[2]}-{i}", 1.0, 2.0))
        gallery.strangers.add([], 1.0)
"""


def test_several_machines_make_and_write_a_new_gallery_at_once() -> None:
    _, section = new_database()
    children = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(section.url), str(number)])
        for number in range(2)
    ]
    assert [child.wait(timeout=60) for child in children] == [0] * 2
    with open_on(section) as gallery:
        assert len(gallery.visits.newest(1000)) == 20
        strangers = [each.stranger_id for each in gallery.strangers.all()]
        assert strangers == list(range(1, 21))


def test_a_lost_connection_is_made_anew_by_the_next_call() -> None:
    place = OnServer()
    with place.open() as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(1))])
        templates = gallery.templates(MODEL)
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'contract' "
        end += "AND application_name = 'doorbell'"
        server().say(end)
        gallery.people.enroll("Ben", [EnrolledSample(sample(2))])
        server().say(end)
        assert gallery.templates(MODEL) is templates
        assert [each.name for each in templates.people] == ["Anna", "Ben"]

        def lose_it_halfway() -> None:
            with gallery.file.writing():
                gallery.file.insert("strangers", first_seen_at=1.0, last_seen_at=1.0, visits=1)
                server().say(end)
                gallery.file.insert("strangers", first_seen_at=1.0, last_seen_at=1.0, visits=1)

        with pytest.raises(GalleryError, match="does not answer"):
            lose_it_halfway()
        assert gallery.strangers.all() == []


def test_who_waits_too_long_for_another_gives_up() -> None:
    place = OnServer()
    with place.open() as one, place.open() as other:
        other.wait_at_most(0.05)
        with one.file.writing():
            with pytest.raises(GalleryError, match="locked"):
                other.people.enroll("Anna", [EnrolledSample(sample(1))])
            assert other.people.all() == []  # reading waits for nobody
        other.people.enroll("Anna", [EnrolledSample(sample(1))])


def test_a_server_that_stops_to_answer_keeps_nobody_waiting_for_long(own: Postgres) -> None:
    section = GallerySection(url=own.create("frozen"))
    with open_on(section) as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(1))])
        gallery.wait_at_most(0.1)
        own.freeze()
        try:
            began = time.monotonic()
            with pytest.raises(GalleryError, match=r"no answer in 1\.6 seconds"):
                gallery.people.all()
            assert time.monotonic() - began < 5.0
        finally:
            own.thaw()
        assert [each.name for each in gallery.people.all()] == ["Anna"]


def test_a_door_goes_on_without_the_server_and_catches_up(own: Postgres) -> None:
    section = GallerySection(url=own.create("recorded"))
    with open_on(section) as gallery:
        anna = gallery.people.enroll("Anna", [EnrolledSample(sample(1))]).person
        recorder = VisitRecorder(gallery, MODEL)
        own.kill()
        assert recorder.templates().people == (anna,)
        assert recorder.problem is not None
        newcomer = recorder.introduce(None, [sample(2)], 5.0)
        recorder.save(Visit("v1", 1.0, 2.0, visitor=anna), [sample(1)], rang_at=1.0)
        recorder.save(Visit("v2", 5.0, 6.0, visitor=newcomer), [sample(2)])
        assert recorder.catch_up() == {}
        own.start()
        [(number, stranger)] = recorder.catch_up().items()
        assert number == newcomer.stranger_id
        assert [each.visitor for each in gallery.visits.newest(9)] == [stranger, anna]
        assert gallery.strangers.all() == [stranger]


def test_another_gallery_at_the_same_address_is_not_gone_on_with(own: Postgres) -> None:
    section = GallerySection(url=own.create("replaced"))
    with open_on(section) as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(1))])
        gallery.templates(MODEL)
        own.say("DROP DATABASE replaced WITH (FORCE)")
        own.create("replaced")
        with pytest.raises(GalleryLostError, match="another than before"):
            gallery.templates(MODEL)


def test_an_earlier_state_is_not_gone_on_with(own: Postgres) -> None:
    section = GallerySection(url=own.create("restored"))
    with open_on(section) as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(1))])
        gallery.templates(MODEL)
        own.say("DELETE FROM doorbell.template_changes", "restored")  # as restored from before
        with pytest.raises(GalleryLostError, match="earlier state"):
            gallery.templates(MODEL)


def test_who_listens_is_told_of_changes_of_faces_and_of_nothing_else() -> None:
    import psycopg

    from doorbell.gallery.postgres.locks import CHANNEL

    place = OnServer()
    with place.open() as gallery, psycopg.connect(str(place.section.url), autocommit=True) as ear:
        ear.execute(f"LISTEN {CHANNEL}")
        gallery.people.enroll("Anna", [EnrolledSample(sample(1))])
        assert len(list(ear.notifies(timeout=2.0, stop_after=1))) == 1
        list(ear.notifies(timeout=0.1))
        gallery.visits.save(Visit("v1", 1.0, 2.0))
        assert list(ear.notifies(timeout=0.3)) == []


@pytest.mark.parametrize("kills", [1, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.timeout(900)
def test_no_acknowledged_write_is_lost_when_the_server_is_killed(own: Postgres, kills: int) -> None:
    section = GallerySection(url=own.create(f"killed_{kills}"))
    acknowledged: list[str] = []
    stop = threading.Event()

    def write() -> None:
        with open_on(section) as gallery:
            while not stop.is_set():
                number = len(acknowledged)
                visit = Visit(f"visit-{number}", float(number), float(number))
                try:
                    gallery.visits.save(visit)
                except GalleryError:  # the same again, as the recorder does
                    stop.wait(0.01)
                else:
                    acknowledged.append(visit.visit_id)

    def goes_on(after: int) -> bool:
        return len(acknowledged) > after

    writer = threading.Thread(target=write)
    writer.start()
    moments = random.Random(kills)  # noqa: S311 - no secret
    try:
        for _ in range(kills):
            assert eventually(partial(goes_on, len(acknowledged)), 30)
            time.sleep(moments.uniform(0.0, 0.1))
            own.kill()
            own.start()
        assert eventually(partial(goes_on, len(acknowledged)), 30)
    finally:
        stop.set()
        writer.join()
    with open_on(section) as gallery:
        assert gallery.visits.missing(acknowledged) == set()
        assert len(gallery.visits.newest(10**6)) == len(acknowledged)


def test_of_thousands_whoever_is_most_alike_is_found_without_reading_all(own: Postgres) -> None:
    """The same as where everybody is read, also where another embedder's templates are nearer."""
    database = f"many_{uuid.uuid4().hex}"
    section = GallerySection(url=own.create(database))
    random = np.random.default_rng(7)
    faces = directions(random.standard_normal((1600, 128)).astype(np.float32))
    probes = directions(faces + np.float32(0.06) * random.standard_normal(faces.shape)).astype("f4")
    with open_on(section) as gallery, gallery.file.writing():
        give(gallery, "anybody", MODEL, faces)
        give(gallery, "of another", "another", np.repeat(probes[:1], 300, axis=0))
    own.say(
        f"ALTER DATABASE {database} SET enable_seqscan = off", database
    )  # of so few it is quicker
    with open_on(section) as gallery, open_on(section) as other:
        everybody = other.templates(MODEL)
        right = 0
        for probe in probes[:150]:
            alike = gallery.templates_like(MODEL, probe, people=3, strangers=1)
            assert len(alike.people) < 10
            found, truly = (each.people_like(probe, 3) for each in (alike, everybody))
            right += [person for person, _ in found] == [person for person, _ in truly]
            assert found[0][0] == truly[0][0]
            assert found[0][1] == pytest.approx(truly[0][1], abs=1e-6)
            one, another = alike.candidates(probe), everybody.candidates(probe)
            assert one.stranger == another.stranger
        assert right > 145


def test_an_upgrade_makes_the_templates_of_whoever_is_there() -> None:
    _, section = new_database()
    faces = directions(np.random.default_rng(3).standard_normal((50, 128)).astype(np.float32))
    named = {f"somebody {each}": FaceSample(face, MODEL, 0.5) for each, face in enumerate(faces)}
    make_earlier(section, 3, named)
    with open_on(section) as gallery:
        for place in (0, 8):
            [(person, cosine)] = gallery.templates_like(MODEL, faces[place], people=1).people_like(
                faces[place], 1
            )
            assert person.name == f"somebody {place}"
            assert cosine == pytest.approx(1.0, abs=1e-5)
        gallery.people.forget("somebody 0")
        left = gallery.file.rows("SELECT count(*) AS n FROM templates WHERE person_id IS NOT NULL")
        assert left[0]["n"] == 49


def give(gallery: Gallery, called: str, model_id: str, faces: Float32Array) -> None:
    """Enroll half of the faces, and meet the others."""
    file = gallery.file
    for whose, first, columns, values in (
        ("person_id", 0, "people (name, name_key)", "'{0}', '{0}'"),
        ("stranger_id", 1, "strangers (first_seen_at, last_seen_at, visits)", "0, 0, 1"),
    ):
        some = faces[first::2]
        said = ", ".join(f"({values.format(f'{called} {each}')})" for each in range(len(some)))
        numbers = file.rows(f"INSERT INTO {columns} VALUES {said} RETURNING id")  # noqa: S608 - our own words
        for numbered in zip(*[iter(zip(numbers, some, strict=True))] * 50, strict=True):
            file.execute(
                f"INSERT INTO samples ({whose}, model_id, embedding, quality) VALUES "  # noqa: S608 - our own words
                + ", ".join(["(?, ?, ?, 0.5)"] * len(numbered)),
                *(
                    value
                    for row, face in numbered
                    for value in (row["id"], model_id, StoredEmbedding(face.tobytes()))
                ),
            )
