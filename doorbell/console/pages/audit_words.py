"""What was done, in words: the lines of the audit for people."""

from __future__ import annotations

from collections.abc import Callable


def action_words(_: Callable[[str], str]) -> dict[str, str]:
    """The words for each action of the audit, in the language of ``_``.

    An action is the path of a route without what varies (see ``Entry.action``), or a word of the
    command line and of pairing.
    """
    return {
        "ring": _("rang"),
        "mute": _("muted, or switched the sound on"),
        "talk": _("talked at the door"),
        "listen": _("listened at the door"),
        "replies say": _("said a reply at the door"),
        "replies add": _("recorded a reply"),
        "replies rename": _("renamed a reply"),
        "replies delete": _("deleted a reply"),
        "visits search": _("searched for a face"),
        "visits correct": _("said who a visit was"),
        "visits no-face": _("said that a visit was no face"),
        "visits ignore": _("changed whether a visitor rings"),
        "strangers name": _("named a stranger"),
        "undo": _("took a change back"),
        "people portrait": _("set a portrait"),
        "people portrait delete": _("deleted a portrait"),
        "people rename": _("renamed a person"),
        "people chime": _("set a person's chime"),
        "people preferences": _("changed a person's preferences"),
        "people announced": _("changed whether a person is announced"),
        "people consent": _("noted a consent"),
        "people ignore": _("changed whether a person rings"),
        "people merge": _("merged two people"),
        "people forget": _("forgot a person"),
        "people export": _("exported a person's data"),
        "enroll": _("enrolled a person"),
        "enroll photo": _("sent a photo"),
        "enroll door": _("enrolled at the door"),
        "chime play": _("played a chime at the door"),
        "settings": _("changed settings"),
        "health check": _("had everything checked"),
        "act": _("answered a notification"),
        "notifications test": _("tried a notification"),
        "leave": _("gave up access"),
        "devices invite": _("made a code"),
        "devices revoke": _("took access away"),
        "devices token": _("made a token"),
        "pair": _("was paired"),
        "wrong code": _("typed a wrong code"),
    }
