"""Forgetting somebody beside the gallery: pictures, events that wait, what backups still hold."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from doorbell.cli.printing import plural
from doorbell.errors import GalleryError

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.recognition.gallery import Forgotten


def finish_forgetting(forgotten: Forgotten, config: Config) -> None:
    """Delete pictures and events of what the gallery forgot; say what is gone and what is not."""
    from doorbell.outputs.outbox import Outbox
    from doorbell.outputs.pictures import delete_pictures
    from doorbell.recognition.gallery_copies import backups
    from doorbell.recognition.gallery_lock import only_daemon
    from doorbell.sealing import open_seal

    storage = config.storage
    delete_pictures(storage.pictures_directory, forgotten.visit_ids)
    if storage.outbox_path.exists():
        # A doorbell that runs sees to it itself.
        with suppress(GalleryError), only_daemon(storage.directory):
            outbox = Outbox(storage.outbox_path, config.mqtt, open_seal(storage.key_file))
            outbox.forget_visits(forgotten.visit_ids)
            outbox.close()
    click.echo(
        f"forgot {forgotten.visitor.label}: {plural(forgotten.samples, 'sample')} and "
        f"{plural(len(forgotten.visit_ids), 'visit')} with their pictures are deleted"
    )
    if copies := backups(storage.gallery_path):
        click.echo(
            f"{plural(len(copies), 'backup')} may still hold {forgotten.visitor.label}; "
            "delete them, and those that you have put elsewhere:"
        )
        for copy in copies:
            click.echo(f"  {copy.path}")
