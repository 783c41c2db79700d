"""``doorbell train`` from a checkout: ``.venv/bin/python tools/train.py detector FOLDER ...``."""

import sys

from doorbell.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]], prog_name="doorbell")
