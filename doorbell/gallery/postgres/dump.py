"""Backing up a gallery on a server, and putting a backup back, by PostgreSQL's own programs.

They are told the server by their environment, in which a password is for this user's eyes only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from doorbell.config.gallery import GallerySection
from doorbell.errors import GalleryError, UsageError
from doorbell.gallery.postgres.address import BUSY_SECONDS, SCHEMA, Address, address_of
from doorbell.gallery.postgres.migrations import MIGRATIONS
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

# What is there may be of a later version than the backup, with tables that this does not know of.
_BEGIN = f"""BEGIN;
SET LOCAL client_min_messages = error;
SET LOCAL lock_timeout = {round(BUSY_SECONDS * 1000)};
DROP SCHEMA IF EXISTS {SCHEMA} CASCADE;
"""
# Since August 2025: what a backup says is then no command of psql's, which would be run here.
_RESTRICTS = "--restrict-key"
_END = f"""
DO $$ BEGIN
    IF (SELECT version FROM {SCHEMA}.gallery) > {len(MIGRATIONS)} THEN
        RAISE 'the backup was written by a later doorbell: update this one';
    END IF;
END $$;
COMMIT;
"""  # noqa: S608 - our own words


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
    """Put a backup in the place of the gallery, whatever is there: all of it or nothing.

    It stays of the version that has made it: whoever opens it brings it to the present one.

    Raises:
        GalleryError: it is no backup, damaged, or of a later version; the server refuses; or psql
            or pg_restore is not installed. The gallery is left as it was.
        ConfigError: the server cannot be spoken to as it is named.
    """
    require_dump(source)
    if _RESTRICTS not in _run("pg_restore", None, "--help"):
        raise GalleryError(
            "this pg_restore lets a backup run commands here (CVE-2025-8714); the gallery was left "
            "as it was: bring PostgreSQL's programs up to date, with: apt upgrade postgresql-client"
        )
    environment = _environment(address_of(section))
    words = [_found("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said
        ) as psql,
    ):
        assert psql.stdin is not None  # noqa: S101 - for the type checker
        read = None
        with suppress(BrokenPipeError), psql.stdin:  # whose reader has failed
            psql.stdin.write(_BEGIN.encode())
            psql.stdin.flush()
            read = subprocess.run(
                [_found("pg_restore"), "--file=-", str(source)],
                env=_environment(None),
                stdout=psql.stdin,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            if read.returncode == 0:  # else what psql has is not all of it
                psql.stdin.write(_END.encode())
        psql.wait()
        # Where psql has failed, pg_restore ends by a signal, since nobody reads what it writes.
        if read is not None and (read.returncode > 0 or (read.returncode and not psql.returncode)):
            raise _failed("pg_restore", read.returncode, read.stderr)
        if psql.returncode or read is None or read.returncode:
            said.seek(0)
            raise _failed("psql", psql.returncode, said.read())


def _run(program: str, address: Address | None, *words: str) -> str:
    """What a program of PostgreSQL says."""
    done = subprocess.run(
        [_found(program), *words],
        env=_environment(address),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise _failed(program, done.returncode, done.stderr)
    return done.stdout


def _found(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise GalleryError(
            f"{program} is not installed, which does this for a gallery on a server; install "
            "PostgreSQL's programs, of the server's version or later: apt install postgresql-client"
        )
    return found


def _environment(address: Address | None) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
    if address is not None:
        said = conninfo_to_dict(address.conninfo)
        environment |= {
            variable: str(said[key]) for key, variable in _VARIABLES.items() if key in said
        }
    return environment


def _failed(program: str, code: int, said: str) -> GalleryError:
    lines = said.strip().splitlines() or [f"it ended with {code}"]
    return GalleryError(f"{program} failed: {lines[0]}; the gallery was left as it was")
