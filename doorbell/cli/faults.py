"""An error of ours becomes one message on stderr and its exit code; any other stays a traceback."""

from __future__ import annotations

from typing import Any

import click

from doorbell.errors import DoorbellError


class DoorbellGroup(click.Group):
    """The group whose verbs may raise ``DoorbellError``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except DoorbellError as exc:
            # A file's name may hold bytes that are no text.
            message = str(exc).encode("utf-8", "backslashreplace").decode("utf-8")
            click.echo(f"doorbell: {message}", err=True)
            ctx.exit(exc.exit_code)
