"""What the documents say is there: commands, keys, topics, files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from doorbell.cli import main
from doorbell.config import Config
from doorbell.domain import Ring
from doorbell.outputs.chimes import CHIMES
from doorbell.outputs.messages import EVENT_TYPES, event_document
from doorbell.outputs.topics import Topics

ROOT = Path(__file__).parent.parent
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *ROOT.glob("models/*.md"), *ROOT.glob("docs/*.md")]
}
SHIPPED = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in ("config", "models", "systemd")
    for path in (ROOT / folder).glob("*")
    if path.is_file()
}
README = DOCUMENTS["README.md"]


def verbs(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command without subcommands, as the words that call it."""
    if not isinstance(command, click.Group):
        yield words
        return
    for name, child in command.commands.items():
        if not child.hidden:
            yield from verbs(child, (*words, name))


def called(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words call, and the words that are left for it."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"there is no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def shell_lines() -> Iterator[list[str]]:
    """The doorbell's commands in the shell examples of every document, without the program."""
    for text in DOCUMENTS.values():
        for block in re.findall(r"^ *```sh\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0] in ("doorbell", ".venv/bin/doorbell"):
                    yield words[1:]


def inline_commands() -> Iterator[list[str]]:
    """The doorbell's commands named within sentences."""
    for text in [*DOCUMENTS.values(), *SHIPPED.values()]:
        for words in re.findall(r"`(?:\.venv/bin/)?doorbell ([^`\n]+)`", text):
            yield shlex.split(words)


@pytest.mark.parametrize("verb", [*verbs(main)], ids=" ".join)
def test_every_command_stands_in_the_readme(verb: tuple[str, ...]) -> None:
    assert f"`doorbell {' '.join(verb)}`" in README


@pytest.mark.parametrize("words", [*shell_lines(), *inline_commands()], ids=shlex.join)
def test_every_command_in_a_document_exists_with_its_options(words: list[str]) -> None:
    command, rest = called(words)
    known = {"--help", *(option for each in command.params for option in each.opts)}

    assert {word.split("=")[0] for word in rest if word.startswith("-")} <= known


def test_keys_named_in_documents_exist() -> None:
    sections = dict(Config())
    named = re.findall(
        rf"`({'|'.join(sections)})\.(\w+)(?: = [^`]+)?`",
        "\n".join(text for name, text in DOCUMENTS.items() if name != "CHANGELOG.md"),
    )

    assert named
    for section, key in named:
        assert key in type(sections[section]).model_fields, f"{section}.{key}"


def test_the_readme_describes_every_topic_and_key_of_an_event() -> None:
    base = f"{Topics('front-door').availability.removesuffix('/availability')}/"
    topics = [
        topic.removeprefix(base)
        for topic in vars(Topics("front-door")).values()
        if isinstance(topic, str)
    ]
    keys = event_document(Ring("e", 0.0))
    unnamed = [
        name for name in [*topics, *keys, *EVENT_TYPES] if not re.search(rf"`{name}`", README)
    ]

    assert "mute/state" in topics
    assert unnamed == []


@pytest.mark.parametrize("chime", CHIMES)
def test_every_chime_stands_in_readme_and_configuration(chime: str) -> None:
    assert f"`{chime}`" in README
    assert chime in SHIPPED["config/doorbell.toml"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_between_files_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", DOCUMENTS[name])
    dead = [
        link
        for link in links
        if "://" not in link and not (ROOT / name).parent.joinpath(link).exists()
    ]

    assert dead == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_test_that_a_document_names_exists(name: str) -> None:
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", DOCUMENTS[name])
    missing = [
        f"{path}::{test}"
        for path, test in named
        if not (ROOT / path).exists()
        or f"\ndef {test}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]

    assert bool(named) or name != "docs/security.md"
    assert missing == []


@pytest.mark.parametrize("name", [*DOCUMENTS, *SHIPPED])
def test_documents_name_no_developer_s_paths(name: str) -> None:
    text = {**DOCUMENTS, **SHIPPED}[name]

    assert re.findall(r"/(?:home|root|work|Users|mnt)/\S*", text) == []
