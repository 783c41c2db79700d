"""Examines everything for who asks the running doorbell: configuration in, findings out."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

from doorbell.config import Config
from doorbell.diagnostics import check_all

# The door goes before: this computes as much as the daemon does.
NICE = 10


def main() -> None:
    """Read the configuration from the standard input and print what was found."""
    os.nice(NICE)
    findings = check_all(Config.model_validate_json(sys.stdin.read()))
    sys.stdout.write(json.dumps([asdict(finding) for finding in findings]))


if __name__ == "__main__":
    main()
