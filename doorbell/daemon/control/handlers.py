"""Which function answers which request."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

from doorbell.control import requests
from doorbell.control.requests import REQUESTS
from doorbell.control.schema import Request
from doorbell.daemon.control.commands import Commands
from doorbell.daemon.control.doors import AskedDoors
from doorbell.daemon.control.enrolling import EnrollingRequests
from doorbell.daemon.control.notices import NoticeRequests
from doorbell.daemon.control.people import PeopleRequests
from doorbell.daemon.control.replies import RepliesRequests
from doorbell.daemon.control.searching import SearchRequests
from doorbell.daemon.control.server import Answer, Handler

_AnyRequest = TypeVar("_AnyRequest", bound=Request)


COMMANDS: tuple[type[Request], ...] = (
    requests.RingBell,
    requests.Mute,
    requests.ChangeSettings,
    requests.CorrectVisit,
    requests.NoFace,
    requests.IgnoreVisitor,
    requests.NameStranger,
    requests.Undo,
    requests.ForgetPerson,
    requests.PlayReply,
)


def handlers(
    *,
    doors: AskedDoors,
    searching: SearchRequests,
    people: PeopleRequests,
    commands: Commands,
    enrolling: EnrollingRequests,
    notices: NoticeRequests,
    replies: RepliesRequests,
    reload: Callable[[], None],
) -> dict[str, Handler]:
    """By verb, what answers; every request but the subscriptions is there.

    Args:
        doors: what answers for each door.
        searching: of visits, and searches for a face.
        people: of people.
        commands: carries out what the main thread does.
        enrolling: answers what is asked of photos and portraits.
        notices: answers the notifier, and what is asked of notifications.
        replies: of quick replies.
        reload: has the configuration read anew, soon.
    """

    def reload_soon(_request: requests.Reload) -> Answer:
        reload()
        return Answer({"summary": "the configuration is read anew; the log says what was taken"})

    table, visits = _of_notices(notices), searching.visits

    def answer(kind: type[_AnyRequest], by: Callable[[_AnyRequest], Answer]) -> None:
        table[kind.verb] = _handler(by)

    answer(requests.Status, lambda asked: doors.of(asked.door_id).status.status(asked))
    answer(requests.PlayChime, lambda asked: doors.one(asked.door_id).status.play_chime(asked))
    answer(requests.ChimeSound, doors.of(None).status.chime_sound)
    answer(requests.Check, doors.check.check)
    answer(requests.Reload, reload_soon)
    answer(requests.ListVisits, visits.listed)
    answer(requests.Today, visits.today)
    answer(requests.GetVisit, visits.get)
    answer(requests.VisitPicture, visits.picture)
    answer(requests.SearchVisits, searching.by_visit)
    answer(requests.ListPeople, people.listed)
    answer(requests.GetPerson, people.get)
    answer(requests.RenamePerson, people.rename)
    answer(requests.PersonChime, people.chime)
    answer(requests.PersonPreferences, people.preferences)
    answer(requests.PersonConsent, people.consent)
    answer(requests.IgnorePerson, people.ignore)
    answer(requests.MergePeople, people.merge)
    answer(requests.ExportPerson, people.export)
    answer(requests.PreparePhotos, enrolling.prepare)
    answer(requests.PhotoPreview, enrolling.preview)
    answer(requests.EnrollPhotos, enrolling.enroll)
    answer(requests.GetPortrait, enrolling.portrait)
    answer(requests.ChoosePortrait, enrolling.choose_portrait)
    answer(requests.DeletePortrait, enrolling.delete_portrait)
    answer(requests.ListReplies, replies.listed)
    answer(requests.ReplySound, replies.sound)
    answer(requests.RenameReply, replies.rename)
    answer(requests.DeleteReply, replies.delete)
    table[requests.AddReply.verb] = lambda request, blob: replies.add(
        cast("requests.AddReply", request), blob
    )
    answer(requests.Listen, lambda asked: doors.one(asked.door_id).talk.listen(asked))
    answer(requests.AnswerDoor, lambda asked: doors.one(asked.door_id).talk.answer(asked))
    answer(requests.EnrollAtDoor, partial(_enroll_at_door, doors, enrolling))

    def say(request: Request, blob: bytes) -> Answer:
        asked = cast("requests.Say", request)
        return doors.one(asked.door_id).talk.say(asked, blob)

    table[requests.Say.verb] = say
    table[requests.ExaminePhoto.verb] = lambda request, blob: enrolling.examine(
        cast("requests.ExaminePhoto", request), blob
    )
    table[requests.SearchPhoto.verb] = lambda request, blob: searching.by_photo(
        cast("requests.SearchPhoto", request), blob
    )
    for kind in COMMANDS:
        table[kind.verb] = commands.carry_out
    subscriptions = {requests.Events.verb, requests.Frames.verb}
    missing = REQUESTS.keys() - table.keys() - subscriptions
    if missing:
        raise AssertionError(f"nobody answers {sorted(missing)}")
    return table


def _enroll_at_door(
    doors: AskedDoors, enrolling: EnrollingRequests, asked: requests.EnrollAtDoor
) -> Answer:
    doors.one(asked.door_id)  # nobody is enrolled by whoever stands at another
    return enrolling.at_the_door(asked)


def _of_notices(notices: NoticeRequests) -> dict[str, Handler]:
    return {
        requests.TakeNotices.verb: _handler(notices.take),
        requests.NoticePicture.verb: _handler(notices.picture),
        requests.LookAtAnswer.verb: _handler(notices.look),
        requests.GiveAnswer.verb: _handler(notices.give),
        requests.ReportTargets.verb: _handler(notices.report),
        requests.TestNotification.verb: _handler(notices.test),
    }


def _handler(by: Callable[[_AnyRequest], Answer]) -> Handler:
    """What answers a request that brings no bytes."""
    return lambda request, _blob: by(cast("_AnyRequest", request))
