"""``doorbell evaluate`` from a checkout: ``.venv/bin/python tools/evaluate.py pairs FOLDER``."""

import sys

from doorbell.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]], prog_name="doorbell")
