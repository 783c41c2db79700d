"""``doorbell enroll`` from a checkout: ``.venv/bin/python tools/enroll.py NAME PHOTO...``."""

import sys

from doorbell.cli import main

if __name__ == "__main__":
    main(["enroll", *sys.argv[1:]], prog_name="doorbell")
