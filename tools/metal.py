"""What can be shown of the doorbell on a machine without a Jetson: ``tools/metal.py PART``.

Each part can be run alone, prints its steps with their times, and writes a report into
``build/metal``. A report that is to be told is copied into ``docs/reports``, and ``table`` writes
docs/jetson.md anew from those. Ends with 0 if all was shown, 1 if not, and 3 where this machine
lacks what the part needs.
"""

from __future__ import annotations

import importlib
import signal
import sys

# What each part does, and the module that does it, by ``main(arguments)``.
PARTS = {
    "boot": ("the service where systemd is process 1", "machines.boot"),
    "by-hand": ("the service installed as docs/service.md says", "machines.by_hand"),
    "kernel": ("cameras, sound, GPIO and the service by a real kernel in QEMU", "machines.kernel"),
    "container": ("the image, compose.yaml and Home Assistant's add-on", "machines.container"),
    "arm64": ("packages, models and faces on arm64, emulated", "machines.arm64"),
    "table": ("what has been tried, in docs/jetson.md, from the reports", "machines.table"),
}


def main() -> int:
    """Run the part that is named; the exit code."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in PARTS:
        # Ended from outside, it takes away what it has mounted and booted.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        code: int = importlib.import_module(PARTS[name][1]).main(arguments)
        return code
    lines = [__doc__ or "", *(f"  {part:9} {what}" for part, (what, _) in PARTS.items())]
    print("\n".join(lines))  # noqa: T201 - what it is for
    return 0 if name in ("-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main())
