"""``[console]``: the household's web pages."""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from doorbell.config.paths import expand
from doorbell.config.section import Section
from doorbell.config.values import LocalPath, texts

# The port that an address leaves out, by its scheme.
USUAL_PORTS = {"http": 80, "https": 443}

_HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        fits = bool(colon) and port.isdecimal() and 0 <= int(port) <= 65535 and len(port) <= 5
    except ValueError:
        fits = False
    if not fits or (":" in host) != (host[:1] == "[" and host[-1:] == "]"):
        msg = 'must be an address of this machine and a port, as in "127.0.0.1:8480" or "[::]:8480"'
        raise ValueError(msg)
    return text


_NAMES = 'host names in lower case, as in ["door.example.org"]'
_PROXIES = 'addresses and networks, as in ["127.0.0.1", "172.30.32.0/23"]'
_ORIGINS = 'origins, as in ["https://home.example.org:8123"]'

HostNames: TypeAlias = Annotated[
    tuple[str, ...],
    texts(_NAMES, _HOST_NAME.fullmatch),
    Field(max_length=32, description=f"a list of at most 32 {_NAMES}"),
]
Networks: TypeAlias = Annotated[
    tuple[str, ...],
    texts(_PROXIES, ipaddress.ip_network),
    Field(max_length=32, description=f"a list of at most 32 {_PROXIES}"),
]
Origins: TypeAlias = Annotated[
    tuple[str, ...],
    texts(_ORIGINS, _ORIGIN.fullmatch),
    Field(max_length=32, description=f"a list of at most 32 {_ORIGINS}"),
]


class ConsoleSection(Section):
    """``[console]``: the household's web pages, a process of its own."""

    enabled: bool = False
    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8480"
    names: HostNames = ()
    certificate_file: LocalPath | None = None
    key_file: LocalPath | None = None
    plain_http: bool = False
    trusted_proxies: Networks = ()
    frame_ancestors: Origins = ()
    directory: LocalPath | None = None
    viewers: Annotated[int, Field(ge=1, le=16)] = 4
    language: Literal["auto", "en", "de"] = "auto"

    @property
    def host(self) -> str:
        """The address that is listened at, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port that is listened at; 0 for any that is free."""
        return int(self.listen.rpartition(":")[2])

    @property
    def state_directory(self) -> Path:
        """Where the devices that have access are kept, and the certificates made here.

        Raises:
            ConfigError: none is given, and the user has no home directory.
        """
        return self.directory or expand("~/.local/share/doorbell-console")

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def has_tls(self) -> bool:
        """Whether it speaks HTTPS itself: with files given, or to others than a proxy."""
        if self.certificate_file is not None:
            return True
        return not (self.is_loopback or self.plain_http or self.trusted_proxies)

    @model_validator(mode="after")
    def _both_files(self) -> ConsoleSection:
        if (self.certificate_file is None) != (self.key_file is None):
            msg = "certificate_file and key_file belong together: set both or neither"
            raise ValueError(msg)
        if self.plain_http and self.certificate_file is not None:
            msg = "plain_http is without the certificate of certificate_file: leave one out"
            raise ValueError(msg)
        return self


def machine_name() -> str:
    """This machine's own name, without a domain, in lower case."""
    return socket.gethostname().partition(".")[0].lower()


def address_of(section: ConsoleSection, port: int | None = None) -> str:
    """Where a browser finds the console: by its first name, its machine's, or its address."""
    scheme = "https" if section.has_tls else "http"
    if section.names:
        host = section.names[0]
    elif section.is_loopback:
        host = "localhost"
    else:
        host = f"{machine_name()}.local"
    number = section.port if port is None else port
    return f"{scheme}://{host}" + ("" if number == USUAL_PORTS[scheme] else f":{number}")
