"""``doorbell models build`` from a checkout, as in: ``.venv/bin/python tools/build_models.py``."""

import sys

from doorbell.cli import main

if __name__ == "__main__":
    main(["models", "build", *sys.argv[1:]], prog_name="doorbell")
