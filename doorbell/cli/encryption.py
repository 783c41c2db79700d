"""``doorbell gallery key``, ``encrypt`` and ``decrypt``: what is on the disk, for the key alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import example, plural
from doorbell.errors import SealError, UsageError

if TYPE_CHECKING:
    from doorbell.config import Config, StorageSection
    from doorbell.sealing import Seal

_FILE = click.Path(path_type=Path)


@click.command(epilog=example("doorbell gallery key /etc/doorbell/gallery.key"))
@click.argument("path", type=_FILE)
def key(path: Path) -> None:
    """Make a new key for encryption, in a file for its owner alone.

    Keep a copy elsewhere: without the key nothing that it encrypted can be read again.
    """
    from doorbell.sealing import write_new_key

    write_new_key(path)
    click.echo(f"{path} is a new key; keep a copy of it elsewhere, and set storage.key_file to it")


@click.command(
    epilog=example(
        "doorbell gallery encrypt", "doorbell gallery encrypt --old-key /etc/doorbell/old.key"
    )
)
@click.option("--old-key", type=_FILE, help="The key until now, to change it.")
@with_config
def encrypt(config: Config, old_key: Path | None) -> None:
    """Encrypt embeddings, pictures and events that wait with the key of storage.key_file.

    The doorbell must be stopped. Names and times of visits stay readable, and so do backups that
    were made before. A run that was interrupted is finished by running it again.
    """
    from doorbell.sealing import open_seal

    if config.storage.key_file is None:
        raise UsageError(
            "there is no key to encrypt with; make one with: doorbell gallery key PATH, "
            "and set storage.key_file to it"
        )
    after = open_seal(config.storage.key_file)
    pictures = _keep(config.storage, open_seal(old_key), after)
    click.echo(f"the gallery and {plural(pictures, 'picture')} are encrypted")


@click.command(epilog=example("doorbell gallery decrypt"))
@with_config
def decrypt(config: Config) -> None:
    """Take the encryption of storage.key_file away; then take the key out of the configuration.

    The doorbell must be stopped.
    """
    from doorbell.sealing import PLAIN, open_seal

    if config.storage.key_file is None:
        raise UsageError("set storage.key_file to the key that the gallery is encrypted with")
    pictures = _keep(config.storage, open_seal(config.storage.key_file), PLAIN)
    click.echo(
        f"the gallery and {plural(pictures, 'picture')} are no longer encrypted; "
        "remove storage.key_file from the configuration"
    )


def _keep(storage: StorageSection, before: Seal, after: Seal) -> int:
    """Bring what is on the disk from one way of keeping into another; how many pictures."""
    from doorbell.outputs.outbox_file import seal_outbox
    from doorbell.outputs.pictures import seal_pictures
    from doorbell.recognition.gallery import Gallery
    from doorbell.recognition.gallery_copies import backups
    from doorbell.recognition.gallery_lock import only_daemon
    from doorbell.recognition.gallery_sealing import seal_gallery

    path = storage.gallery_path
    with only_daemon(storage.directory):
        try:
            Gallery.open(path, after).close()
        except SealError:
            clean = seal_gallery(path, before, after)
        else:  # done by a run that was interrupted afterwards
            clean = seal_gallery(path, after, after)
        pictures = seal_pictures(storage.pictures_directory, before, after)
        seal_outbox(storage.outbox_path, before, after)
    if not clean:
        click.echo("another process has the gallery open: run this again when it is done", err=True)
    if copies := backups(path):
        click.echo(f"not changed: {plural(len(copies), 'backup')}, as they were made:")
        for copy in copies:
            click.echo(f"  {copy.path}")
    return pictures
