"""How a request reached the console: from where, by what name, how safely, under which prefix.

What a proxy says of it is believed only of the proxies that the configuration names.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.types import Scope

from doorbell.config.console import USUAL_PORTS, ConsoleSection

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::([0-9]{1,5}))?")
_PREFIX = re.compile(r"(/(?!\.{1,2}(?:/|$))[A-Za-z0-9_.~-]+)*")
MAX_PREFIX_CHARACTERS = 128
# By which a browser reaches its own machine; trustworthy without encryption (Secure Contexts, 3.1).
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


class BadRequestError(Exception):
    """A request whose headers cannot be what an honest browser or proxy sends."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """How a request came.

    Attributes:
        client: the address that it came from, behind the proxies.
        scheme: "http" or "https", as the browser sees it.
        host: the name or address that the browser asked for, without port and brackets.
        authority: the same with its port, as in an origin.
        prefix: under which path the console is shown, "" or as in "/door".
        by_proxy: whether a trusted proxy brought it.
    """

    client: str
    scheme: str
    host: str
    authority: str
    prefix: str
    by_proxy: bool

    @property
    def is_secure(self) -> bool:
        """Whether nobody on the way could read along."""
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether it came from this machine."""
        address = _address(self.client)
        return address is not None and address.is_loopback

    @property
    def is_from_outside(self) -> bool:
        """Whether it came from an address that everybody on the internet could have."""
        address = _address(self.client)
        return address is not None and address.is_global

    @property
    def names_this_machine(self) -> bool:
        """Whether the browser asked for its own machine; as good as encrypted for browsers."""
        return self.host in LOCAL_HOSTS

    @property
    def origin(self) -> str:
        """As a browser writes it."""
        return f"{self.scheme}://{self.authority}"


class HostPolicy:
    """Which names are ours, which proxies are believed, and which connections may be plain.

    Args:
        section: of the configuration.
        machine: this machine's own name.
    """

    def __init__(self, section: ConsoleSection, machine: str | None = None) -> None:
        machine = (machine or socket.gethostname()).lower()
        short = machine.partition(".")[0]
        self._names = {"localhost", machine, short, f"{short}.local", *section.names}
        self._proxies = [ipaddress.ip_network(each) for each in section.trusted_proxies]
        self._may_be_plain = section.plain_http or section.has_tls

    def context(self, scope: Scope) -> RequestContext:
        """How a request came.

        Raises:
            BadRequestError: a header of it is none.
        """
        headers = Headers(scope=scope)
        peer = scope["client"][0] if scope.get("client") else ""
        by_proxy = self._is_trusted(peer)
        scheme, host, prefix, client = scope["scheme"], headers.get("host", ""), "", peer
        if by_proxy:
            client = self._client(headers.getlist("x-forwarded-for"), peer)
            scheme = _last(headers, "x-forwarded-proto") or scheme
            host = _last(headers, "x-forwarded-host") or host
            prefix = headers.get("x-ingress-path") or headers.get("x-forwarded-prefix") or ""
            prefix = prefix.rstrip("/")
        if scheme not in ("http", "https"):
            raise BadRequestError("X-Forwarded-Proto is neither http nor https")
        if len(prefix) > MAX_PREFIX_CHARACTERS or not _PREFIX.fullmatch(prefix):
            raise BadRequestError("the path that the proxy names is none")
        name, port = _split(host)
        written = f"[{name}]" if ":" in name else name
        authority = written if port in ("", str(USUAL_PORTS[scheme])) else f"{written}:{port}"
        return RequestContext(client, scheme, name, authority, prefix, by_proxy)

    def is_ours(self, context: RequestContext, scope: Scope) -> bool:
        """Whether the name that was asked for is one of this console.

        A page of somebody else's whose name was made to lead here (DNS rebinding) has that name in
        its requests. An address is ours if the connection came in at it.
        """
        # Of a proxy's request both: it may hand on whatever X-Forwarded-Host a client has sent.
        own = _address(scope["server"][0]) if scope.get("server") else None
        asked = (context.host, _split(Headers(scope=scope).get("host", ""))[0])
        return all(
            host in self._names or (own is not None and _address(host) == own) for host in asked
        )

    def is_safe_enough(self, context: RequestContext) -> bool:
        """Whether the way here may be as it is: encrypted, inside, or allowed to be plain."""
        return self._may_be_plain or context.is_secure or context.by_proxy or context.is_loopback

    def is_shared_address(self, peer: str) -> bool:
        """Whether connections of an address are those of many: a proxy's, or this machine's."""
        address = _address(peer)
        return self._is_trusted(peer) or (address is not None and address.is_loopback)

    def _client(self, forwarded: list[str], peer: str) -> str:
        """The last address that no trusted proxy has; whoever comes before could be made up."""
        client = peer
        for text in reversed(",".join(forwarded).split(",")):
            address = _address(text.strip())
            if address is None:
                break
            client = str(address)
            if not self._is_trusted(client):
                break
        return client

    def _is_trusted(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._proxies)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)  # an IPv4 peer at a socket for both
    return mapped or address


def _split(host: str) -> tuple[str, str]:
    """The name or address, without brackets, and the port in a Host header; "" for what is none."""
    found = _HOST.fullmatch(host.lower())
    if found is None:
        return "", ""
    return found[1].removesuffix(".").strip("[]"), found[2] or ""


def _last(headers: Headers, name: str) -> str:
    values: Iterable[str] = ",".join(headers.getlist(name)).split(",")
    return [value.strip() for value in values][-1].lower()
