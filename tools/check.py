"""``doorbell check`` from a checkout, as in: ``.venv/bin/python tools/check.py``."""

import sys

from doorbell.cli import main

if __name__ == "__main__":
    main(["check", *sys.argv[1:]], prog_name="doorbell")
