"""``doorbell bench`` from a checkout, as in: ``.venv/bin/python tools/bench.py networks``."""

import sys

from doorbell.cli import main

if __name__ == "__main__":
    main(["bench", *sys.argv[1:]], prog_name="doorbell")
