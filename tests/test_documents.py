"""What the documents say is there: commands, keys, topics, files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from doorbell.cli import main
from doorbell.config import Config, load_config
from doorbell.domain import Ring
from doorbell.outputs.mqtt.messages import EVENT_TYPES, event_document
from doorbell.outputs.mqtt.topics import Topics
from doorbell.outputs.sound.synthesis import CHIMES

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
# Where each command is described, by the words that it begins with; the longest that fit count.
PAGES = {
    "status": "docs/service.md",
    "ring": "docs/service.md",
    "mute": "docs/service.md",
    "reply": "docs/replies.md",
    "run": "README.md",
    "demo": "README.md",
    "enroll": "docs/enrolling.md",
    "people": "docs/enrolling.md",
    "people consent": "docs/privacy.md",
    "people export": "docs/privacy.md",
    "strangers": "docs/enrolling.md",
    "visits": "docs/enrolling.md",
    "gallery": "docs/backups.md",
    "gallery key": "docs/privacy.md",
    "gallery encrypt": "docs/privacy.md",
    "gallery decrypt": "docs/privacy.md",
    "gallery machines": "docs/postgresql.md",
    "models": "models/README.md",
    "check": "docs/troubleshooting.md",
    "console": "docs/console.md",
    "notifier": "docs/notifier.md",
    "evaluate": "docs/accuracy.md",
    "bench": "docs/performance.md",
    "train": "docs/training.md",
}


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


def blocks(language: str) -> Iterator[str]:
    """The examples of every document that are written in a language."""
    for text in DOCUMENTS.values():
        yield from re.findall(
            rf"^ *```{language}\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL
        )


def shell_lines() -> Iterator[list[str]]:
    """The doorbell's commands in the shell examples of every document, without the program."""
    for block in blocks("sh"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] in ("doorbell", ".venv/bin/doorbell"):
                yield words[1:]


def anchors(document: str) -> set[str]:
    """What a link may name within a document: its headings, as the web shows them."""
    text = re.sub(r"^```.*?^```", "", document, flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    }


def inline_commands() -> Iterator[list[str]]:
    """The doorbell's commands named within sentences."""
    for text in [*DOCUMENTS.values(), *SHIPPED.values()]:
        for words in re.findall(r"`(?:\.venv/bin/)?doorbell ([^`\n]+)`", text):
            yield shlex.split(words)


@pytest.mark.parametrize("verb", [*verbs(main)], ids=" ".join)
def test_every_command_is_described_in_its_page(verb: tuple[str, ...]) -> None:
    beginnings = [" ".join(verb[:count]) for count in range(1, len(verb) + 1)]
    [*_, page] = [PAGES[words] for words in beginnings if words in PAGES]

    assert f"`doorbell {' '.join(verb)}`" in DOCUMENTS[page]


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert len(README.splitlines()) < 200
    assert {name for name in DOCUMENTS if f"]({name})" not in README} == {"README.md"}
    assert {"./tools/demo", "./tools/test"} <= {
        line.split("#")[0].strip()
        for block in re.findall(r"^```sh\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    }


@pytest.mark.parametrize("words", [*shell_lines(), *inline_commands()], ids=shlex.join)
def test_every_command_in_a_document_exists_with_its_options(words: list[str]) -> None:
    command, rest = called(words)
    known = {"--help", *(option for each in command.params for option in each.opts)}

    assert {word.split("=")[0] for word in rest if word.startswith("-")} <= known


def test_keys_named_in_documents_exist() -> None:
    sections = dict(Config())
    named = re.findall(
        rf"`({'|'.join(sections)})\.(?!sqlite`)(\w+)(?: = [^`]+)?`",  # gallery.sqlite is a file
        "\n".join(text for name, text in DOCUMENTS.items() if name != "CHANGELOG.md"),
    )

    assert named
    for section, key in named:
        if f"{section}.{key}" == Config().storage.gallery_path.name:
            continue  # a file, and no key
        assert key in type(sections[section]).model_fields, f"{section}.{key}"


@pytest.mark.parametrize("text", [*blocks("toml")])
def test_every_piece_of_a_configuration_is_one(text: str, tmp_path: Path) -> None:
    path = tmp_path / "doorbell.toml"
    path.write_text(text, encoding="utf-8")

    assert load_config(path) != Config()


@pytest.mark.parametrize("text", [*blocks("yaml")])
def test_every_automation_can_be_read_and_waits_for_what_is_published(text: str) -> None:
    automation = pytest.importorskip("yaml").safe_load(text)
    topics = vars(Topics("front-door")).values()

    assert {"alias", "triggers", "actions"} <= set(automation)
    for trigger in automation["triggers"]:
        assert trigger["trigger"] in ("state", "mqtt")
        assert trigger["trigger"] == "state" or trigger["topic"] in topics


def test_a_page_describes_every_topic_and_key_of_an_event() -> None:
    base = f"{Topics('front-door').availability.removesuffix('/availability')}/"
    topics = [
        topic.removeprefix(base)
        for topic in vars(Topics("front-door")).values()
        if isinstance(topic, str)
    ]
    keys = event_document(Ring("e", 0.0))
    unnamed = [
        name
        for name in [*topics, *keys, *EVENT_TYPES]
        if f"`{name}`" not in DOCUMENTS["docs/mqtt.md"]
    ]

    assert "mute/state" in topics
    assert unnamed == []


@pytest.mark.parametrize("chime", CHIMES)
def test_every_chime_stands_in_page_and_configuration(chime: str) -> None:
    assert f"`{chime}`" in DOCUMENTS["docs/enrolling.md"]
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
def test_links_to_a_heading_lead_to_one(name: str) -> None:
    links = re.findall(r"\]\(([^)#]*)#([^)]*)\)", DOCUMENTS[name])
    dead = []
    for path, anchor in links:
        if "://" not in path:
            target = (ROOT / name).parent.joinpath(path) if path else ROOT / name
            document = DOCUMENTS[target.resolve().relative_to(ROOT).as_posix()]
            if anchor not in anchors(document):
                dead.append(f"{path}#{anchor}")

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
