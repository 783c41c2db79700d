"""What a camera's URI means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote, urlsplit

from doorbell.config import CameraSection
from doorbell.config.paths import expand
from doorbell.config.secrets import read_secret, without_credentials
from doorbell.errors import CameraSetupError, ConfigError

_NETWORK_SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp", "rtp")


class Kind(Enum):
    """What stands behind a URI."""

    SIMULATED = "simulated"
    FOLDER = "folder"
    FILE = "file"
    DEVICE = "device"
    CSI = "csi"
    NETWORK = "network"
    PIPELINE = "pipeline"


@dataclass(frozen=True, slots=True)
class Source:
    """Where frames come from.

    Attributes:
        kind: what it is.
        place: what follows ``simulated:``; the path of a folder, file or device; else the URI
            itself, credentials included: never log it, show ``shown``.
    """

    kind: Kind
    place: str

    @property
    def shown(self) -> str:
        """The place as it may be logged: without user names and passwords."""
        return without_credentials(self.place) or f"{self.kind.value}:"


def source_of(section: CameraSection) -> Source:
    """Tell which source a configuration names, by ``uri`` or by the file that holds it.

    Raises:
        CameraSetupError: as of ``parse_uri``; or the file cannot be read.
    """
    uri, password = section.uri, ""
    try:
        if section.uri_file is not None:
            uri = read_secret("camera.uri_file", section.uri_file)
        if section.password_file is not None:
            password = read_secret("camera.password_file", section.password_file)
    except ConfigError as exc:  # a camera that is opened again, too, may find its file gone
        raise CameraSetupError(str(exc)) from exc
    source = parse_uri(uri)
    return source if section.user is None else _signed_in(source, section.user, password)


def _signed_in(source: Source, user: str, password: str) -> Source:
    """Put user and password into the address of a network camera."""
    if source.kind is not Kind.NETWORK:
        raise CameraSetupError(
            f"camera.user does nothing for {source.shown!r} ({source.kind.value}): it is for a "
            "network camera; leave it out"
        )
    scheme, _, rest = source.place.partition("://")
    if "@" in _authority(rest):
        raise CameraSetupError(
            f"{source.shown!r} has a user of its own: leave either that out or camera.user"
        )
    secret = f":{quote(password, safe='')}" if password else ""
    return Source(source.kind, f"{scheme}://{quote(user, safe='')}{secret}@{rest}")


def _authority(rest: str) -> str:
    return re.split(r"[/?#]", rest, maxsplit=1)[0]


def _escaped(uri: str) -> str:
    """Write user and password of an address as they must be, where that is certain.

    People write them as they are. What ends an address's host (``/``, ``?`` and ``#``) cannot be
    told from a part of a password that is followed by ``@`` unless the rest would be no address:
    its port no number, or its end a fragment, which no camera has. What looks like an escape, as
    in ``%40``, is one.
    """
    scheme, separator, rest = uri.partition("://")
    authority = _authority(rest)
    credentials, at, host = authority.rpartition("@")
    tail = rest[len(authority) :]
    _, colon, port = host.rpartition(":")
    odd = tail.startswith("#") or (bool(colon) and not host.endswith("]") and not port.isdecimal())
    if odd and "@" in tail:
        credentials, at, rest = rest.rpartition("@")
    elif at:
        rest = host + tail
    if not at:
        return uri
    escaped = quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", credentials), safe="%:!$&'()*+,;=~")
    return f"{scheme}{separator}{escaped}@{rest}"


def parse_uri(uri: str) -> Source:
    """Tell what a URI means.

    Raises:
        CameraSetupError: an unknown scheme, or nothing at all.
    """
    scheme, separator, rest = uri.partition("://")
    if uri.startswith("simulated:"):
        source = Source(Kind.SIMULATED, uri.removeprefix("simulated:"))
    elif " ! " in uri:
        source = Source(Kind.PIPELINE, uri)
    elif uri.isdecimal():
        source = Source(Kind.DEVICE, f"/dev/video{uri}")
    elif not separator:
        source = _local(uri)
    elif scheme == "file":
        source = _local(unquote(urlsplit(uri).path))
    elif scheme == "v4l2":
        source = Source(Kind.DEVICE, rest)
    elif scheme == "csi":
        source = Source(Kind.CSI, uri)
    elif scheme in _NETWORK_SCHEMES:
        source = Source(Kind.NETWORK, _escaped(uri))
    else:
        raise CameraSetupError(
            f"camera.uri has the unknown scheme {scheme!r}; known are simulated, file, v4l2, csi, "
            + ", ".join(_NETWORK_SCHEMES)
        )
    return source


def loses_no_frame(section: CameraSection) -> bool:
    """Whether every frame counts: recorded or simulated, and as fast as possible.

    Any other camera goes on without its reader, so its frames are dropped, never queued.
    """
    return not section.realtime and not is_live(section)


def is_live(section: CameraSection) -> bool:
    """Whether the frames are of now: of a sensor, with its noise."""
    return source_of(section).kind not in (Kind.SIMULATED, Kind.FOLDER, Kind.FILE)


def _local(text: str) -> Source:
    if not text:
        raise CameraSetupError("camera.uri is empty; give a device, URL or file, or 'simulated:'")
    path = expand(text)
    if text.startswith("/dev/"):
        return Source(Kind.DEVICE, text)
    return Source(Kind.FOLDER if path.is_dir() else Kind.FILE, str(path))
