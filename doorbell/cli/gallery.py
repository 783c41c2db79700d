"""``doorbell gallery``: the file that everything is in, kept safe."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.gallery_machines import machines, roles
from doorbell.cli.options import gallery_file, with_config
from doorbell.cli.printing import (
    example,
    json_option,
    local_time,
    plural,
    print_json,
    print_table,
    say,
    yes_option,
)
from doorbell.errors import GalleryError, UsageError
from doorbell.text import shown

if TYPE_CHECKING:
    from doorbell.config import Config, GallerySection

_FILE = click.Path(path_type=Path)


@click.group(
    epilog=example("doorbell gallery backup --keep 4", "doorbell gallery restore FILE"),
)
def gallery() -> None:
    """Back up, restore, check and move whom the household knows."""


gallery.add_command(roles)
gallery.add_command(machines)


@gallery.command(
    epilog=example("doorbell gallery backup --keep 4", "doorbell gallery backup /media/usb/door")
)
@click.argument("file", type=_FILE, required=False)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Delete all but the newest N backups in storage.directory/backups.",
)
@json_option
@with_config
def backup(config: Config, file: Path | None, keep: int | None, *, as_json: bool) -> None:
    """Copy the gallery into one file, also while the daemon runs.

    FILE must not be there yet; without it the copy goes to storage.directory/backups. It holds
    people, samples, strangers, visits and corrections, for its owner's eyes only; no pictures, and
    no sounds of your own. What is encrypted stays so: keep the key elsewhere. Of a gallery on a
    server (gallery.url) it is written by pg_dump, which has to be installed, and nothing in it is
    encrypted.

    JSON: an object with path, size_bytes and deleted (the paths of older backups).
    """
    from doorbell.gallery.backup import back_up, back_up_server, keep_newest

    if file is not None and keep is not None:
        raise click.UsageError("give either FILE or --keep")
    path = config.storage.gallery_path
    if config.gallery.url is None:
        made = back_up(path, file, time.time())
    else:
        made = back_up_server(config.gallery, path, file, time.time())
    deleted = [] if keep is None else keep_newest(path, keep, made)
    size = made.stat().st_size
    if as_json:
        document = {"path": str(made), "size_bytes": size, "deleted": [str(p) for p in deleted]}
        print_json(document)
        return
    say(f"backed up to {made}, {size / 1e6:.1f} MB")
    if deleted:
        say(f"deleted {plural(len(deleted), 'older backup')}")


@gallery.command(epilog=example("doorbell gallery backups"))
@json_option
@with_config
def backups(config: Config, *, as_json: bool) -> None:
    """List the backups in storage.directory/backups, newest first.

    Among them are those made before a new version changed the gallery (before-version-...), and
    what ``restore`` replaced (replaced-...).

    JSON: a list of objects with path, made_at (ISO 8601, UTC) and size_bytes.
    """
    from doorbell.clock import iso_utc
    from doorbell.storage.sqlite_copies import backups as find

    found = find(config.storage.gallery_path)
    if as_json:
        print_json(
            [
                {
                    "path": str(each.path),
                    "made_at": iso_utc(each.made_at),
                    "size_bytes": each.size_bytes,
                }
                for each in found
            ]
        )
        return
    print_table(
        ["made", "MB", "file"],
        [[local_time(b.made_at), f"{b.size_bytes / 1e6:.1f}", b.path.name] for b in found],
        empty="there is no backup; make one with: doorbell gallery backup",
    )
    if found:
        say(f"in {found[0].path.parent}")


@gallery.command(epilog=example("doorbell gallery restore /media/usb/door"))
@click.argument("file", type=_FILE)
@yes_option
@with_config
def restore(config: Config, file: Path, *, yes: bool) -> None:
    """Put a backup in the place of the gallery.

    The doorbell must be stopped. The gallery that was there is kept among the backups. A file that
    is damaged, no gallery, or written by a later doorbell is refused, and nothing is changed.

    Of a gallery on a server (gallery.url) it is put back by pg_restore and psql, with the doorbells
    of all machines stopped, and brought to the present version; what was there is not kept: make a
    backup of it before.
    """
    from doorbell.gallery.backup import require_restorable
    from doorbell.gallery.backup import restore as put_back

    if config.gallery.url is not None:
        _restore_on_server(config, file, yes=yes)
        return
    path = config.storage.gallery_path
    require_restorable(path, file)
    if not yes and path.exists():
        click.confirm(f"Replace the gallery {shown(str(path))}?", abort=True)
    replaced = put_back(path, file, time.time())
    say(f"restored {file}; start the doorbell again")
    if replaced is not None:
        say(f"what was there before is in {replaced}; delete it when all is well")


def _restore_on_server(config: Config, file: Path, *, yes: bool) -> None:
    from doorbell.gallery.gallery import open_server
    from doorbell.gallery.lock import only_daemon
    from doorbell.gallery.postgres.dump import load, require_dump

    with only_daemon(config.storage.directory):
        require_dump(file)
        if not yes:
            click.confirm("Replace the gallery on the server?", abort=True)
        load(config.gallery, file)
        try:
            open_server(config.gallery).close()  # which brings it to the present version
        except GalleryError as exc:
            raise GalleryError(
                f"{file} is in the place of the gallery, and could not be brought to the present "
                f"version yet: {exc}; the next start of a doorbell tries again"
            ) from exc
    say(f"restored {file}; start the doorbells again")


@gallery.command(
    epilog=example(
        "doorbell gallery move",
        "doorbell gallery move --to sqlite",
    )
)
@click.option(
    "--to",
    metavar="ADDRESS",
    help="postgresql://USER@HOST/DATABASE, gallery.url by default; or sqlite, or sqlite:FILE.",
)
@click.option(
    "--plain", is_flag=True, help="Let the server have what storage.key_file encrypts here."
)
@json_option
@with_config
def move(config: Config, to: str | None, *, plain: bool, as_json: bool) -> None:
    """Move the gallery to a PostgreSQL server with pgvector, or from gallery.url back to a file.

    The doorbell must be stopped. Every row is compared in the end; what was there before stays as
    it was. A move that was interrupted is gone on with by running it again, and nobody can use the
    new gallery before it is whole. Then start the doorbell with gallery.url, or without it.

    The password and the authority of the server are those of gallery.password_file and
    gallery.tls_ca_file, which stand beside gallery.url.

    JSON: a list of objects with table, rows and digest (SHA-256 of all its rows).
    """
    from dataclasses import asdict

    from doorbell.household.moving import move_to_file, move_to_server

    def tell(table: str, rows: int) -> None:
        if rows % 10_000 == 0:
            say(f"{table}: {rows:,} rows", err=True)

    if to is not None and to.startswith("sqlite"):
        if config.gallery.url is None:
            raise UsageError("the gallery is in a file already; gallery.url names the server")
        path = Path(to.partition(":")[2] or config.storage.gallery_path)
        moved = move_to_file(config.storage, config.gallery, path, tell)
        then = "take gallery.url out of the configuration"
    else:
        section = config.gallery if to is None else _server(config, to)
        if section.url is None:
            raise UsageError("say where to: --to ADDRESS, or set gallery.url")
        moved = move_to_server(config.storage, section, tell, plain=plain)
        then = "set gallery.url to it"
    if as_json:
        print_json([asdict(each) for each in moved])
        return
    rows = sum(each.rows for each in moved)
    say(
        f"moved {plural(rows, 'row')}, the same on both sides; {then} and start the doorbell "
        "again; what was there before is still there: delete it when all is well"
    )


def _server(config: Config, url: str) -> GallerySection:
    """The server of an address, with the password and the authority that are configured.

    Raises:
        UsageError: it is no address.
    """
    from pydantic import ValidationError

    from doorbell.config import GallerySection

    try:
        return GallerySection.model_validate({**config.gallery.model_dump(), "url": url})
    except ValidationError:
        raise UsageError(  # without the value, which may have a password in it
            "--to takes postgresql://USER@HOST/DATABASE, sqlite, or sqlite:FILE"
        ) from None


@gallery.command("export", epilog=example("doorbell gallery export household.jsonl"))
@click.argument("file", type=_FILE)
@with_config
def export_(config: Config, file: Path) -> None:
    """Write people and strangers, with their samples, for another machine.

    FILE must not be there yet. It has one JSON document a line, not encrypted, and in it what faces
    are recognized by: give it to nobody, and delete it when it has been imported.
    """
    from doorbell.household.exchange_export import export_file
    from doorbell.recognition.embedder import SFACE_ID

    count = export_file(config.storage, file, SFACE_ID, config.gallery)
    say(
        f"wrote {plural(count, 'line')} to {file}; it holds biometric data of everybody in it, "
        "unencrypted: delete it when it has been imported"
    )


@gallery.command("import", epilog=example("doorbell gallery import household.jsonl"))
@click.argument("file", type=_FILE)
@json_option
@with_config
def import_(config: Config, file: Path, *, as_json: bool) -> None:
    """Add the people and strangers of an exported file.

    Whoever is there already gets the samples that are new, and keeps chime and preferences. All of
    the file is added, or nothing; a second time nothing is.

    JSON: an object with people, merged (lists of names), samples, strangers (counts) and conflicts
    (a list of sentences).
    """
    from dataclasses import asdict

    from doorbell.household.chimes import is_chime
    from doorbell.household.exchange_import import import_file
    from doorbell.recognition.embedder import SFACE_ID

    imported = import_file(config.storage, file, SFACE_ID, is_chime, config.gallery)
    if as_json:
        print_json(asdict(imported))
        return
    for sentence in imported.conflicts:
        say(sentence)
    say(
        f"added {plural(len(imported.people), 'name')}, {plural(imported.samples, 'sample')} and "
        f"{plural(imported.strangers, 'stranger')}; {len(imported.merged)} were here already"
    )


@gallery.command("check", epilog=example("doorbell gallery check"))
@json_option
@with_config
def check_(config: Config, *, as_json: bool) -> None:
    """Check every page, reference and value of the gallery, also while the daemon runs.

    The exit code is 1 if anything is wrong; each line says what to do.

    JSON: a list of objects with part, ok and message.
    """
    from dataclasses import asdict

    from doorbell.gallery.integrity import check_gallery
    from doorbell.recognition.embedder import SFACE_ID
    from doorbell.storage.encryption import open_cipher

    cipher = open_cipher(config.storage.key_file)
    found = list(check_gallery(gallery_file(config), cipher, SFACE_ID))
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        for finding in found:
            mark = click.style("ok ", fg="green") if finding.ok else click.style("BAD", fg="red")
            say(f" {finding.part:<8} {finding.message}", mark=mark)
    if not all(finding.ok for finding in found):
        click.get_current_context().exit(1)
