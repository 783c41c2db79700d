"""The people whom the household has enrolled: the list, one person, and what may be changed."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from doorbell.console.doorbell_client import doorbell_of
from doorbell.console.doors import at_door, path_at_door
from doorbell.console.fields import number_in
from doorbell.console.limits import ConcurrencyLimit
from doorbell.console.refusals import refuse
from doorbell.console.rendering import done, gettext_of, render, wants_json
from doorbell.console.words import by_name, without_commands
from doorbell.errors import RefusedError

# Rows for preferences beside those that are there.
EMPTY_ROWS = 2
MAX_PREFERENCES = 40
# The preference by which somebody is not announced: false.
ANNOUNCED = "announce"
PORTRAIT_WIDTH = 256
EXPORT_SECONDS = 60.0
PART_BYTES = 65_536


async def people(request: Request) -> Response:
    """Everybody, by name."""
    doorbell = doorbell_of(request)
    status, listed = await asyncio.gather(doorbell.ask("status"), doorbell.ask("people.list"))
    people = by_name(listed.document["people"])
    return render(request, "people.html", status=status.document, people=people)


async def person(request: Request) -> Response:
    """One person."""
    return await _page(request)


async def portrait(request: Request) -> Response:
    """Their portrait."""
    doorbell = doorbell_of(request)
    reply = await doorbell.ask(
        "portrait.get", person_id=request.path_params["person"], max_width=PORTRAIT_WIDTH
    )
    return Response(reply.blob, media_type="image/jpeg")


async def set_portrait(request: Request) -> Response:
    """Let the face of a ``visit`` be their portrait, if they ``agreed``, which is noted."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    form = request.state.form
    if form.get("agreed") != "on":
        return await _wrong(request, "portrait", _("A portrait is kept only if they agreed to it."))
    answer = await _change(
        request,
        "portrait",
        "portrait.set",
        _("The portrait is set."),
        visit=form.get("visit", ""),
    )
    person_id = request.path_params["person"]
    got = await doorbell.ask("people.get", person_id=person_id)
    if answer.status_code < 400 and got.document["person"]["consent"] is None:
        words = _("agreed that a portrait is kept")
        await doorbell.ask("people.consent", person_id=person_id, words=words)
    return answer


async def delete_portrait(request: Request) -> Response:
    """Delete their portrait."""
    _ = gettext_of(request)
    return await _change(request, "portrait", "portrait.delete", _("The portrait is deleted."))


async def rename(request: Request) -> Response:
    """Give them another ``name``."""
    _ = gettext_of(request)
    name = request.state.form.get("name", "").strip()
    if not name:
        return await _wrong(request, "name", _("Write a name."))
    return await _change(request, "name", "people.rename", _("The name is changed."), name=name)


async def chime(request: Request) -> Response:
    """Give them a ``chosen`` chime; empty for that of everybody."""
    _ = gettext_of(request)
    chosen = request.state.form.get("chosen", "")
    if chosen == "as-it-is":
        return done(request, {}, _path(request), summary=_("The chime stays as it is."))
    return await _change(
        request, "chime", "people.chime", _("The chime is changed."), chime=chosen or None
    )


async def preferences(request: Request) -> Response:
    """Give them preferences: fields ``key-N`` and ``value-N``."""
    _ = gettext_of(request)
    form = request.state.form
    chosen: dict[str, Any] = {}
    for number in range(MAX_PREFERENCES):
        key = form.get(f"key-{number}", "").strip()
        if key and key in chosen:
            return await _wrong(request, "preferences", _("Two preferences have the same name."))
        if key:
            chosen[key] = _value_of(form.get(f"value-{number}", "").strip())
    return await _change(
        request,
        "preferences",
        "people.preferences",
        _("The preferences are changed."),
        preferences=chosen,
    )


async def announced(request: Request) -> Response:
    """Say inside when they are at the door, where ``announced`` is ``on``: a preference."""
    doorbell = doorbell_of(request)
    got = await doorbell.ask("people.get", person_id=request.path_params["person"])
    chosen: dict[str, Any] = dict(got.document["person"]["preferences"])
    is_on = request.state.form.get("announced") == "on"
    chosen.pop(ANNOUNCED, None)
    if not is_on:
        chosen[ANNOUNCED] = False
    _ = gettext_of(request)
    said = _("They are announced.") if is_on else _("They are announced no more.")
    return await _change(request, "announced", "people.preferences", said, preferences=chosen)


async def consent(request: Request) -> Response:
    """Note what they agreed to, in ``words``."""
    _ = gettext_of(request)
    words = request.state.form.get("words", "").strip()
    if not words:
        return await _wrong(request, "consent", _("Write what they agreed to."))
    said = _("It is noted what they agreed to.")
    return await _change(request, "consent", "people.consent", said, words=words)


async def ignore(request: Request) -> Response:
    """Never ring for them; ``ignored`` ``off`` rings again."""
    _ = gettext_of(request)
    ignored = request.state.form.get("ignored", "on") == "on"
    said = _("Their coming rings no more.") if ignored else _("Their coming rings again.")
    return await _change(request, "ignore", "people.ignore", said, ignored=ignored)


async def merge(request: Request) -> Response:
    """Make another entry, ``other``, this person's; ``force`` ``on`` whether or not alike."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    form, person_id = request.state.form, request.path_params["person"]
    other = number_in(form.get("other", ""))
    if other is None or other == person_id:
        return await _wrong(request, "merge", _("Choose the other entry of the same person."))
    try:
        reply = await doorbell.ask(
            "people.merge",
            person_id=other,
            into=person_id,
            force=form.get("force") == "on",
        )
    except RefusedError as error:
        if wants_json(request) or error.kind != "refused":
            raise
        return await _wrong(request, "merge", without_commands(str(error)), other=other)
    said = _("They are one person now.")
    return done(request, reply.document, _path(request), summary=said)


async def forget(request: Request) -> Response:
    """Delete them with everything, once their ``name`` is typed."""
    _ = gettext_of(request)
    doorbell = doorbell_of(request)
    name = request.state.form.get("name", "").strip()
    if not name:
        return await _wrong(request, "forget", _("Type the name of whom to forget."))
    try:
        reply = await doorbell.ask(
            "people.forget", person_id=request.path_params["person"], name=name
        )
    except RefusedError as error:
        if wants_json(request) or error.kind != "refused":
            raise
        return await _wrong(request, "forget", without_commands(str(error)))
    said = _("Forgotten, with every visit and picture.")
    return done(request, reply.document, path_at_door(request, "/people"), summary=said)


async def export(request: Request) -> Response:
    """Everything that is held on them, as a ZIP file to download."""
    doorbell = doorbell_of(request)
    person_id = request.path_params["person"]
    exporting: ConcurrencyLimit = request.app.state.traffic.exporting
    if not exporting.enter():
        _ = gettext_of(request)
        return refuse(request, 503, _("Too many do this at the same time."), {"retry-after": "10"})
    try:
        reply = await doorbell.ask(
            "people.export", person_id=person_id, timeout_seconds=EXPORT_SECONDS
        )
    except BaseException:
        exporting.leave()
        raise
    # By the number: a name may hold what a header may not.
    return _Zip(reply.blob, f"doorbell-{person_id}.zip", exporting.leave)


class _Zip(Response):
    """A large file, sent in parts: at once it would be in memory a second time.

    Args:
        content: of the file.
        name: of the file.
        sent: called once it is, or has failed to be.
    """

    media_type = "application/zip"

    def __init__(self, content: bytes, name: str, sent: Callable[[], None]) -> None:
        headers = {
            "content-disposition": f'attachment; filename="{name}"',
            "content-length": str(len(content)),
        }
        super().__init__(headers=headers)
        self._content = content
        self._sent = sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope, receive
        head = {"status": self.status_code, "headers": self.raw_headers}
        try:
            await send({"type": "http.response.start", **head})
            for begin in range(0, len(self._content), PART_BYTES):
                part = self._content[begin : begin + PART_BYTES]
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._sent()


async def _change(
    request: Request, section: str, verb: str, summary: str, **arguments: Any
) -> Response:
    """Change something; what is refused is said in its section of the page."""
    doorbell = doorbell_of(request)
    try:
        reply = await doorbell.ask(verb, person_id=request.path_params["person"], **arguments)
    except RefusedError as error:
        if wants_json(request) or error.kind != "refused":
            raise
        return await _wrong(request, section, without_commands(str(error)))
    return done(request, reply.document, _path(request), summary=summary)


async def _wrong(
    request: Request, section: str, sentence: str, other: int | None = None
) -> Response:
    """The page once more, with what is wrong said where it was asked for."""
    if wants_json(request):
        return refuse(request, 422, sentence)
    return await _page(
        request, status_code=422, section=section, sentence=sentence, refused_other=other
    )


async def _page(
    request: Request,
    *,
    status_code: int = 200,
    section: str = "",
    sentence: str = "",
    refused_other: int | None = None,
) -> Response:
    doorbell = doorbell_of(request)
    person_id = request.path_params["person"]
    got, listed, status = await asyncio.gather(
        doorbell.ask("people.get", person_id=person_id),
        doorbell.ask("people.list"),
        doorbell.ask("status", **at_door(request)),
    )
    found = got.document["person"]
    others = [each for each in by_name(listed.document["people"]) if each["person_id"] != person_id]
    chimes = status.document["built_in_chimes"]
    settings = status.document["settings"]
    form = request.state.form if section else {}
    rows = [(key, _text_of(value)) for key, value in found["preferences"].items()]
    if section == "preferences":
        rows = [
            (form.get(f"key-{n}", ""), form.get(f"value-{n}", ""))
            for n in range(MAX_PREFERENCES)
            if form.get(f"key-{n}") or form.get(f"value-{n}")
        ]
    return render(
        request,
        "person.html",
        status_code=status_code,
        status=status.document,
        person=found,
        visits=got.document["visits"],
        pictured=[each for each in got.document["visits"] if each["has_picture"]][:6],
        others=others,
        chimes=chimes,
        announcements=settings is not None and settings["announcements"],
        rows=[*rows, *([("", "")] * EMPTY_ROWS)][:MAX_PREFERENCES],
        wrong=defaultdict(str, {section: sentence}),
        form=form,
        refused_other=next((each for each in others if each["person_id"] == refused_other), None),
    )


def _path(request: Request) -> str:
    return path_at_door(request, f"/people/{request.path_params['person']}")


def _value_of(text: str) -> Any:
    """What a field holds: JSON where it is any, such as 3, true or a list; else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _text_of(value: Any) -> str:
    """A value as a field shows it, so that ``_value_of`` gives the same again."""
    if isinstance(value, str) and _value_of(value) == value and value == value.strip():
        return value
    return json.dumps(value, ensure_ascii=False)
