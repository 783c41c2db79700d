"""Backing up a gallery on a server, and putting a backup back, by PostgreSQL's own programs.

They are told the server by their environment, in which a password is for this user's eyes only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from doorbell.config.gallery import GallerySection
from doorbell.errors import GalleryError, UsageError
from doorbell.gallery.postgres.address import SCHEMA, Address, address_of
from doorbell.storage.files import whole_file

# What libpq reads instead of an address.
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "gssencmode": "PGGSSENCMODE",
}


def dump(section: GallerySection, target: Path) -> None:
    """Write all of the gallery, as it is at one moment, into a file that is not there yet.

    Raises:
        UsageError: there is such a file.
        GalleryError: it cannot be written, the server refuses, or pg_dump is not installed.
        ConfigError: the server cannot be spoken to as it is named.
    """
    if target.exists():
        raise UsageError(f"{target} is there already; give another name")
    address = address_of(section)
    with whole_file(target) as partial:
        _run("pg_dump", address, f"--schema={SCHEMA}", "--format=custom", f"--file={partial}")


def require_dump(source: Path) -> None:
    """Find out whether a file is a backup of a gallery.

    Raises:
        GalleryError: it is not, it is damaged, or pg_restore is not installed.
    """
    if f" SCHEMA - {SCHEMA} " not in _run("pg_restore", None, "--list", str(source)):
        raise GalleryError(
            f"{source} is no backup of a gallery; the gallery was left as it was: give another one"
        )


def load(section: GallerySection, source: Path) -> None:
    """Put a backup in the place of the gallery: all of it or nothing.

    Raises:
        GalleryError: it is no backup, or the server refuses; the gallery is left as it was.
        ConfigError: the server cannot be spoken to as it is named.
    """
    require_dump(source)
    address = address_of(section)
    database = conninfo_to_dict(address.conninfo).get("dbname", "")
    _run(
        *("pg_restore", address, "--clean", "--if-exists", "--single-transaction"),
        *("--exit-on-error", f"--dbname={database}", str(source)),
    )


def _run(program: str, address: Address | None, *words: str) -> str:
    """What a program of PostgreSQL says."""
    found = shutil.which(program)
    if found is None:
        raise GalleryError(
            f"{program} is not installed, which does this for a gallery on a server; install "
            "PostgreSQL's programs, of the server's version or later: apt install postgresql-client"
        )
    environment = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
    if address is not None:
        said = conninfo_to_dict(address.conninfo)
        environment |= {
            variable: str(said[key]) for key, variable in _VARIABLES.items() if key in said
        }
    done = subprocess.run(
        [found, *words], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise GalleryError(f"{program} failed: {lines[0]}; the gallery was left as it was")
    return done.stdout
