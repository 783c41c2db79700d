"""What verbs share: where the configuration is, how much is logged, and how an error is told."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from doorbell.cli.journal import (
    ERROR,
    is_read_by_journal,
    mark_tracebacks,
    severity_of,
    with_severity,
)
from doorbell.cli.printing import say
from doorbell.cli.streams import give_up_output, prepare_streams
from doorbell.errors import (
    MEMORY_ADVICE,
    CameraSetupError,
    ConfigError,
    DoorbellError,
    GalleryError,
    InferenceError,
    ModelError,
    UsageError,
)
from doorbell.text import shown

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.gallery.gallery import Gallery

_Result = TypeVar("_Result")

# What a file or terminal says that takes no more.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
# Of a verb's context: what reads its configuration anew, a function without arguments.
LOAD = "doorbell.load"
# And the door that it was given.
DOOR = "doorbell.door"
CONFIG_VARIABLE = "DOORBELL_CONFIG"
CONFIG_PATHS = (Path("/etc/doorbell/doorbell.toml"), Path("~/.config/doorbell/doorbell.toml"))


# Whose messages list what is wrong with a file, or what another program has said.
_OF_SEVERAL_LINES = (CameraSetupError, ConfigError, ModelError)


class DoorbellGroup(click.Group):
    """The group whose verbs may raise ``DoorbellError``.

    It becomes one message on stderr and its exit code, and so do an output that takes no more and
    a machine without memory; any other error stays a traceback.
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line."""
        prepare_streams()
        mark_tracebacks()
        try:
            return super().main(*args, **kwargs)
        except OSError as exc:
            if exc.errno not in FULL or exc.filename is not None:
                raise
            give_up_output()
            with contextlib.suppress(OSError):
                _complain(f"doorbell: cannot write the output: {exc.strerror}")
            sys.exit(DoorbellError.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except DoorbellError as exc:
            # A file's name may hold anything.
            message = shown(str(exc), keep="\n" if isinstance(exc, _OF_SEVERAL_LINES) else "")
            code = exc.exit_code
        except click.ClickException as exc:
            told = io.StringIO()
            exc.show(file=told)
            _complain(shown(told.getvalue(), keep="\n").removesuffix("\n"))
            return ctx.exit(exc.exit_code)
        except MemoryError:
            message = f"there was not enough memory; {MEMORY_ADVICE}"
            code = InferenceError.exit_code
        _complain(f"doorbell: {message}")
        return ctx.exit(code)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Be the program: end the process with a verb's exit code."""
        try:
            return super().__call__(*args, **kwargs)
        except SystemExit as exc:
            if any(thread.daemon for thread in threading.enumerate()):
                _end_now(exc)
            raise


def _complain(message: str) -> None:
    click.echo(with_severity(message, ERROR), err=True)


def _end_now(ending: SystemExit) -> None:
    """End the process although a thread was left behind in a driver that does not answer.

    Python would end such a thread by force once its driver answers after all, while Python itself
    is taken down: C++ calls that a reason to abort. By now everything is closed and written.
    """
    if isinstance(ending.code, str):
        _complain(ending.code)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(ending.code if isinstance(ending.code, int) else int(ending.code is not None))


class RunsByDefault(click.Group):
    """A group that runs ``run`` where no verb is given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the verb before its options."""
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


class _ShownFormatter(logging.Formatter):
    """One line a message, whatever names are in it, and nothing that a terminal obeys."""

    def format(self, record: logging.LogRecord) -> str:
        return with_severity(super().format(record), severity_of(record.levelno))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = shown(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return shown(super().formatException(ei), keep="\n")


@dataclass(frozen=True)
class Given:
    """What was given before the verb."""

    config_path: Path | None = None
    overrides: tuple[str, ...] = ()
    verbose: bool = False


config_option = click.option(
    "--config", "config_path", type=click.Path(path_type=Path), help="Configuration file."
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Set one key of the configuration; may be repeated.",
)
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Log everything, on stderr.")


def with_config(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb these options too, and hand it the loaded ``config``.

    Short verbs log warnings only; ``run`` turns on what the configuration says.
    """

    @config_option
    @set_option
    @verbose_option
    @click.pass_context
    @functools.wraps(verb)
    def wrapper(
        context: click.Context,
        /,
        config_path: Path | None,
        overrides: tuple[str, ...],
        verbose: bool,
        **arguments: object,
    ) -> None:
        from doorbell.config import load_config

        given = context.ensure_object(Given)
        path = config_path or given.config_path or find_config(os.environ, CONFIG_PATHS)
        load = functools.partial(load_config, path, (*given.overrides, *overrides))
        context.meta[LOAD] = load
        config = load()
        configure_logging("debug" if verbose or given.verbose else "warning")
        verb(config=config, **arguments)

    return wrapper


def _note_door(context: click.Context, _option: click.Parameter, door_id: str | None) -> None:
    context.meta[DOOR] = door_id


# ``named_door`` tells which.
door_option = click.option(
    "--door",
    metavar="ID",
    expose_value=False,
    callback=_note_door,
    help="At which door, where there are several; `doorbell status` names them.",
)


def named_door() -> str | None:
    """The door that the verb was given."""
    door_id: str | None = click.get_current_context().meta.get(DOOR)
    return door_id


def door_of(config: Config, door_id: str | None) -> Config:
    """The configuration of one door, to be named where there are several.

    Raises:
        UsageError: there is none of that id, or none is named.
    """
    doors = {each.device.id: each for each in config.doors}
    if door_id is None and len(doors) == 1:
        return next(iter(doors.values()))
    if door_id not in doors:
        wrong = "say at which door" if door_id is None else f"there is no door {door_id!r}"
        raise UsageError(f"{wrong}: --door with one of {', '.join(doors)}")
    return doors[door_id]


def find_config(environment: Mapping[str, str], candidates: Iterable[Path]) -> Path | None:
    """The file that applies where none is given; None for the defaults alone.

    Raises:
        ConfigError: there is one that may not be read; the defaults would be another household's.
    """
    if named := environment.get(CONFIG_VARIABLE):
        return Path(named)
    for candidate in candidates:
        try:
            path = candidate.expanduser()
        except RuntimeError:
            continue  # a user without a home directory has none there
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as exc:
            raise ConfigError(
                f"cannot read the configuration {path}: {exc.strerror}; run this as the doorbell's "
                "user (sudo -u doorbell ...), or give another file with --config"
            ) from exc
        return path
    return None


def configure_logging(level: str, *, words_only: bool = False) -> None:
    """Log to stderr; where that is the journal, it has the time already.

    Args:
        level: from which on.
        words_only: without time, level and origin, between what a person reads.
    """
    stamp = "" if is_read_by_journal() else "%(asctime)s "
    origin = "" if words_only else f"{stamp}%(levelname)s %(name)s: "
    handler = logging.StreamHandler()
    handler.setFormatter(_ShownFormatter(f"{origin}%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger().setLevel(level.upper())


def gallery_file(config: Config) -> Path:
    """The gallery's file, for verbs that are about that.

    Raises:
        UsageError: there is a server in its place.
    """
    if config.gallery.url is not None:
        raise UsageError(
            "the gallery is on a PostgreSQL server (gallery.url), whose own programs do this: "
            "pg_dump, pg_restore and pg_amcheck; see docs/postgresql.md"
        )
    return config.storage.gallery_path


def read_gallery(config: Config, read: Callable[[Gallery], _Result]) -> _Result:
    """What a verb lists of the gallery, which it changes nothing of.

    Where that is on a server which is away, or refuses as the account of a door may not read all of
    it, this machine's copy is read, and that is said.

    Args:
        config: where both are.
        read: is called anew with the copy.

    Raises:
        GalleryError: it cannot be read, and there is no copy.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.gallery.link.copy import open_own

    try:
        with Gallery.of(config.storage, config.gallery) as gallery:
            return read(gallery)
    except GalleryError as exc:
        if config.gallery.url is None or not config.storage.copy_path.exists():
            raise
        why = exc
    with open_own(config.storage, config.gallery) as copy:
        say(f"this machine's copy lacks consent and other doors' visits: {why}", err=True)
        return read(copy)
