"""Examines everything for who asks the running doorbell: configuration in, findings out."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from doorbell.config import Config
from doorbell.diagnostics import check_all

# What most webcams see from side to side.
WEBCAM_DEGREES = 78.0


def main() -> None:
    """Read the configuration from the standard input and print what was found."""
    config = Config.model_validate_json(sys.stdin.read())
    findings = check_all(config, field_of_view_degrees=WEBCAM_DEGREES)
    sys.stdout.write(json.dumps([asdict(finding) for finding in findings]))


if __name__ == "__main__":
    main()
