"""The short form of tools/faults.py: it finds nothing, and it would find something."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

TOOL = Path(__file__).parents[2] / "tools" / "faults.py"


def test_a_daemon_that_is_killed_and_one_that_is_flooded_lose_nothing(
    models_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOORBELL_MODELS_DIRECTORY", str(models_directory))
    words = [sys.executable, str(TOOL), "--quick", "--json"]
    run = subprocess.run(words, capture_output=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    outcome = json.loads(run.stdout)
    assert outcome["problem"] is None
    assert len(outcome["recovered_seconds"]) == 1
    [judgement] = outcome["judgements"]
    # Those of two visits, and the end of the one that the kill cut off.
    assert judgement["events"] == 13
    for count in ("lost", "doubled", "wrong", "disordered"):
        assert judgement[count] == 0
