"""The table of routes: every path and method that the console answers, and the role it takes.

What does not stand here is refused, whoever asks; tests enumerate it.
"""

from __future__ import annotations

from doorbell.console.pages import (
    assets,
    devices,
    door,
    enroll,
    health,
    live,
    notifications,
    pair,
    people,
    public,
    replies,
    search,
    settings,
    talk,
    visits,
)
from doorbell.console.routing import Entry, Role

PUBLIC, STREAM, VIEWER, MEMBER, OWNER = Role

ROUTES: tuple[Entry, ...] = (
    # Before a device has access.
    Entry("/healthz", "GET", PUBLIC, public.healthz),
    Entry("/ca.crt", "GET", PUBLIC, public.certificate),
    Entry("/pair", "GET", PUBLIC, pair.page),
    Entry("/pair", "POST", PUBLIC, pair.pair),
    Entry("/static/{version:id}/{name:file}", "GET", PUBLIC, assets.static, cached=True),
    Entry("/icons/{name:file}", "GET", PUBLIC, assets.icon, cached=True),
    Entry("/manifest.webmanifest", "GET", PUBLIC, assets.manifest),
    Entry("/worker.js", "GET", PUBLIC, assets.worker),
    Entry("/offline", "GET", PUBLIC, assets.offline),
    Entry("/language", "POST", PUBLIC, assets.language),
    Entry("/theme", "POST", PUBLIC, assets.theme),
    # An answer to a notification: its token alone lets in.
    Entry("/act", "GET", PUBLIC, notifications.look, by_token=True),
    Entry("/act", "POST", PUBLIC, notifications.act, by_token=True),
    # The picture of now; the first two also for other systems, by a token.
    Entry("/frame.jpg", "GET", STREAM, live.frame),
    Entry("/stream.mjpeg", "GET", STREAM, live.mjpeg, stream="live"),
    Entry("/live", "GET", VIEWER, live.live, stream="live"),
    Entry("/events", "GET", VIEWER, live.events, stream="events"),
    # Who is at the door.
    Entry("/", "GET", VIEWER, door.door),
    Entry("/wall", "GET", VIEWER, door.wall),
    Entry("/ring", "POST", MEMBER, settings.ring),
    Entry("/mute", "POST", MEMBER, settings.mute),
    # Answering: by looking, by talking, by listening.
    Entry("/answered", "POST", VIEWER, talk.answered, is_noted=False),
    Entry("/talk", "POST", MEMBER, talk.say, body="sound"),
    Entry("/listen", "POST", MEMBER, talk.listen, stream="listen"),
    Entry("/replies", "GET", MEMBER, replies.replies),
    Entry("/replies/{reply:id}.wav", "GET", MEMBER, replies.sound),
    Entry("/replies/say", "POST", MEMBER, replies.say),
    Entry("/replies/add", "POST", MEMBER, replies.add, body="photo"),
    Entry("/replies/{reply:id}/rename", "POST", MEMBER, replies.rename),
    Entry("/replies/{reply:id}/delete", "POST", MEMBER, replies.delete),
    # Visits, and whose they were.
    Entry("/visits", "GET", MEMBER, visits.visits),
    Entry("/visits/search", "GET", MEMBER, search.page),
    Entry("/visits/search", "POST", MEMBER, search.by_photo, body="photo"),
    Entry("/visits/{visit:id}", "GET", MEMBER, visits.visit),
    Entry("/visits/{visit:id}/search", "GET", MEMBER, search.by_visit),
    Entry("/visits/{visit:id}/picture", "GET", MEMBER, visits.picture),
    Entry("/visits/{visit:id}/correct", "POST", MEMBER, visits.correct),
    Entry("/visits/{visit:id}/no-face", "POST", MEMBER, visits.no_face),
    Entry("/visits/{visit:id}/ignore", "POST", MEMBER, visits.ignore),
    Entry("/strangers/{stranger:number}/name", "POST", MEMBER, visits.name_stranger),
    Entry("/undo", "POST", MEMBER, visits.undo),
    # People.
    Entry("/people", "GET", MEMBER, people.people),
    Entry("/people/{person:number}", "GET", MEMBER, people.person),
    Entry("/people/{person:number}/portrait", "GET", MEMBER, people.portrait),
    Entry("/people/{person:number}/portrait", "POST", MEMBER, people.set_portrait),
    Entry("/people/{person:number}/portrait/delete", "POST", MEMBER, people.delete_portrait),
    Entry("/people/{person:number}/rename", "POST", MEMBER, people.rename),
    Entry("/people/{person:number}/chime", "POST", MEMBER, people.chime),
    Entry("/people/{person:number}/preferences", "POST", MEMBER, people.preferences),
    Entry("/people/{person:number}/announced", "POST", MEMBER, people.announced),
    Entry("/people/{person:number}/consent", "POST", MEMBER, people.consent),
    Entry("/people/{person:number}/ignore", "POST", MEMBER, people.ignore),
    Entry("/people/{person:number}/merge", "POST", OWNER, people.merge),
    Entry("/people/{person:number}/forget", "POST", OWNER, people.forget),
    Entry("/people/{person:number}/export", "POST", OWNER, people.export),
    # Enrolling.
    Entry("/people/new", "GET", MEMBER, enroll.new),
    Entry("/enroll", "POST", MEMBER, enroll.enroll),
    Entry("/enroll/photo", "POST", MEMBER, enroll.examine, body="photo"),
    Entry("/enroll/photo/{photo:id}", "GET", MEMBER, enroll.preview),
    Entry("/enroll/door", "POST", MEMBER, enroll.door, stream="events"),
    # Chimes, settings and health.
    Entry("/chimes/{chime:id}.wav", "GET", MEMBER, settings.chime_sound),
    Entry("/chime/play", "POST", MEMBER, settings.play_chime),
    Entry("/settings", "GET", MEMBER, settings.settings),
    Entry("/settings", "POST", OWNER, settings.change),
    Entry("/settings/aim", "GET", MEMBER, settings.aim),
    Entry("/health", "GET", MEMBER, health.health),
    Entry("/health/check", "POST", OWNER, health.check),
    # Who is told elsewhere.
    Entry("/notifications", "GET", MEMBER, notifications.notifications),
    Entry("/notifications/test", "POST", OWNER, notifications.test),
    # Who has access.
    Entry("/leave", "POST", VIEWER, pair.leave),
    Entry("/devices", "GET", OWNER, devices.page),
    Entry("/devices/invite", "POST", OWNER, devices.invite),
    Entry("/devices/revoke", "POST", OWNER, devices.revoke),
    Entry("/devices/token", "POST", OWNER, devices.make_token),
)
