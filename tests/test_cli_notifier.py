from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from scripted_doorbell import ScriptedDoorbell

from doorbell.cli import main

TARGETS = 'notifications.targets=[{name="anna", webhook="http://h/", secret_file="/s"}]'


def called(socket: Path, *words: str) -> tuple[int, str]:
    options = ["--config", "/dev/null", "--set", f"control.socket={socket}", "--set", TARGETS]
    result = CliRunner().invoke(main, ["notifier", *words, *options])
    return result.exit_code, result.output


def test_a_target_is_tried_by_the_doorbell(tmp_path: Path) -> None:
    answers = {"notices.test": lambda asked: {"summary": f"{asked['target']} is told"}}
    with ScriptedDoorbell(tmp_path / "doorbell.sock", answers) as doorbell:
        assert called(doorbell.path, "test", "anna") == (0, "anna is told\n")
        assert doorbell.asked == [{"do": "notices.test", "target": "anna"}]


def test_the_doorbell_says_who_is_no_target(tmp_path: Path) -> None:
    refusal = {"ok": False, "kind": "not_found", "error": "there is no target 'ben'; there is anna"}
    with ScriptedDoorbell(tmp_path / "doorbell.sock", {"notices.test": lambda _: refusal}) as door:
        code, said = called(door.path, "test", "ben")

    assert code == 2
    assert "there is no target 'ben'; there is anna" in said


def test_a_notifier_that_is_switched_off_says_how_to_switch_it_on(tmp_path: Path) -> None:
    for words in ((), ("run",)):
        code, said = called(tmp_path / "doorbell.sock", *words)
        assert code == 2
        assert "notifications.enabled is false" in said
