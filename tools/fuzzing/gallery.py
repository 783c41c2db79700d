"""Importing an exported gallery: lines of JSON into a gallery that has a person already."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import numpy as np

from doorbell.errors import DoorbellError
from doorbell.gallery.database import GalleryFile
from doorbell.household.exchange_export import export_lines
from doorbell.household.exchange_format import sample_text
from doorbell.household.exchange_import import Imported, import_lines
from fuzzing import scratch

MAX_BYTES = 2048
MAX_SECONDS = 1.0

MODEL = "sface"
HEAD = b'{"kind":"doorbell-gallery","version":1,"model_id":"sface"}'
ANNA = b'{"kind":"person","name":"Anna","chime":"gong","preferences":{"a":1},"consent":null,'
ANNA += b'"consent_at":null,"samples":[@1]}'
# Stand for samples, which no chance would hit upon: each is one of unit length.
SAMPLES = {
    b"@%d" % axis: sample_text(np.eye(128, dtype=np.float32)[axis // 2] * (-1) ** axis, 0.5, None)
    .model_dump_json()
    .encode()
    for axis in range(10)
}


def seeds() -> Iterator[bytes]:
    """Write people and strangers, alone and together, and what is nearly right."""
    person = ANNA.replace(b"Anna", b"B\xc3\xa9la").replace(b"@1", b"@2,@3")
    stranger = b'{"kind":"stranger","first_seen_at":1.5,"last_seen_at":2.0,"visits":3,'
    stranger += b'"samples":[@4,@5]}'
    for lines in ([], [ANNA], [person], [stranger], [person, person], [ANNA, person, stranger]):
        yield b"\n".join(lines)
        yield b"\n".join([HEAD, *lines, _end(lines)])
    yield HEAD.replace(b"1", b"2")
    yield HEAD.replace(b"sface", b"other")
    yield ANNA.replace(b"@1", b"@3")
    for name in ("", " anna ", "stranger-1", "a\u202eb", "\ud800", "李小龍", "x" * 200):
        yield person.replace(b'"B\xc3\xa9la"', json.dumps(name).encode())
    for value in (b"NaN", b"1e999", b"9" * 1000, b"[" * 300, b'{"a":' * 200, b'"\\ud800"', b"-1"):
        yield person.replace(b'"a":1', b'"a":' + value)
        yield person.replace(b'"consent":null', b'"consent":' + value)
        yield stranger.replace(b"1.5", value).replace(b"3,", value + b",")
        yield HEAD.replace(b"1", value)


def check(content: bytes) -> None:
    """Import it, between a right first and last line unless it has a first one of its own."""
    for token, sample in SAMPLES.items():
        content = content.replace(token, sample)
    lines = content.split(b"\n")
    if b"doorbell-gallery" not in lines[0]:
        lines = [HEAD, *lines, _end(lines)]
    file = _gallery()
    before = _rows(file)
    try:
        _import(file, lines)
    except DoorbellError as exc:
        str(exc).encode()
        if _rows(file) != before:
            raise AssertionError("something was added from what was refused") from exc
        return
    again = _import(file, lines)
    if again.samples or again.strangers or again.people:
        raise AssertionError(f"a second import added {again}")
    exported = [line.encode() for line in export_lines(file, MODEL)]
    if (_import(file, exported)).samples:
        raise AssertionError("what was exported was not all there")
    _start_over(file)


def _import(file: GalleryFile, lines: list[bytes]) -> Imported:
    return import_lines(file, lines, MODEL, lambda name: name == "gong")


def _end(lines: list[bytes]) -> bytes:
    people, strangers = (
        sum(b'"kind":"%s"' % kind in line for line in lines) for kind in (b"person", b"stranger")
    )
    return b'{"kind":"end","people":%d,"strangers":%d}' % (people, strangers)


@cache
def _gallery() -> GalleryFile:
    file = GalleryFile(scratch() / "gallery.sqlite")
    _start_over(file)
    return file


def _start_over(file: GalleryFile) -> None:
    with file.writing():
        for table in ("samples", "strangers", "people"):
            file.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words
    lines = [ANNA.replace(b"@1", SAMPLES[b"@1"])]
    _import(file, [HEAD, *lines, _end(lines)])


def _rows(file: GalleryFile) -> list[dict[str, object]]:
    return file.rows(
        "SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM samples), "
        "(SELECT count(*) FROM strangers)"
    )
