"""``doorbell gallery key``, ``encrypt`` and ``decrypt``: what is on the disk, for the key alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import example, plural, say
from doorbell.errors import UsageError

if TYPE_CHECKING:
    from doorbell.config import Config, StorageSection
    from doorbell.storage.encryption import Cipher

_FILE = click.Path(path_type=Path)


@click.command(epilog=example("doorbell gallery key /etc/doorbell/gallery.key"))
@click.argument("path", type=_FILE)
def key(path: Path) -> None:
    """Make a new key for encryption, in a file for its owner alone.

    Keep a copy elsewhere: without the key nothing that it encrypted can be read again.
    """
    from doorbell.storage.encryption import write_new_key

    write_new_key(path)
    say(f"{path} is a new key; keep a copy of it elsewhere, and set storage.key_file to it")


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
    were made before. A run that was interrupted is finished by running it again. Where the gallery
    is on a server, that is left as it is: only this machine's copy is encrypted.
    """
    from doorbell.storage.encryption import open_cipher

    if config.storage.key_file is None:
        raise UsageError(
            "there is no key to encrypt with; make one with: doorbell gallery key PATH, "
            "and set storage.key_file to it"
        )
    after = open_cipher(config.storage.key_file)
    pictures = _keep(config.storage, open_cipher(old_key), after)
    say(f"{_kept(config)} and {plural(pictures, 'picture')} are encrypted")


@click.command(epilog=example("doorbell gallery decrypt"))
@with_config
def decrypt(config: Config) -> None:
    """Take the encryption of storage.key_file away; then take the key out of the configuration.

    The doorbell must be stopped.
    """
    from doorbell.storage.encryption import NO_CIPHER, open_cipher

    if config.storage.key_file is None:
        raise UsageError("set storage.key_file to the key that the gallery is encrypted with")
    pictures = _keep(config.storage, open_cipher(config.storage.key_file), NO_CIPHER)
    say(
        f"{_kept(config)} and {plural(pictures, 'picture')} are no longer encrypted; "
        "remove storage.key_file from the configuration"
    )


def _kept(config: Config) -> str:
    """What of the gallery is on this machine."""
    if config.gallery.url is None:
        return "the gallery"
    return "this machine's copy of the gallery (its server keeps it readable)"


def _keep(storage: StorageSection, before: Cipher, after: Cipher) -> int:
    """Bring what is on the disk from one way of keeping into another; how many pictures."""
    from doorbell.household.encryption import change_key

    done = change_key(storage, before, after)
    if not done.is_clean:
        say("another process has the gallery open: run this again when it is done", err=True)
    if done.backups:
        say(f"not changed: {plural(len(done.backups), 'backup')}, as they were made:")
        for backup in done.backups:
            say(f"  {backup.path}")
    return done.pictures
