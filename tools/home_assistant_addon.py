"""Puts the doorbell's add-on for Home Assistant together, in a folder of its own.

    tools/home_assistant_addon.py FOLDER

The folder ``doorbell`` in it is an add-on: copied into Home Assistant's ``/addons`` it is there
after *Check for updates*. The whole folder, pushed somewhere as a git repository, is a repository
of add-ons.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from doorbell.console.icons import icon_png

CHECKOUT = Path(__file__).parents[1]
LAYOUT = CHECKOUT / "config" / "home-assistant"
ADDON = LAYOUT / "doorbell"
# Of the checkout, what the image is built from.
SOURCES = (
    "LICENSE",
    "README.md",
    "config/container",
    "config/home-assistant/doorbell/start.py",
    "doorbell",
    "models/manifest.toml",
    "pyproject.toml",
    "tools/requirements",
    "tools/setup.sh",
)
# What the Supervisor reads beside the Dockerfile.
PRESENTED = ("config.yaml", "translations")
ICON_PIXELS = 128


def assemble(folder: Path) -> Path:
    """Write it; the add-on's own folder.

    Args:
        folder: is made; must be empty, or not there.

    Raises:
        FileExistsError: something is in it.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name a new folder")
    addon = folder / "doorbell"
    addon.mkdir(parents=True)
    shutil.copy2(LAYOUT / "repository.yaml", folder)
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in SOURCES:
        source, target = CHECKOUT / name, addon / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=unwanted)
        else:
            shutil.copy2(source, target)
    for name in PRESENTED:
        source = ADDON / name
        if source.is_dir():
            shutil.copytree(source, addon / name)
        else:
            shutil.copy2(source, addon)
    shutil.copy2(CHECKOUT / "CHANGELOG.md", addon)
    (addon / "icon.png").write_bytes(icon_png(ICON_PIXELS))
    image = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
    own = (ADDON / "Dockerfile").read_text(encoding="utf-8")
    (addon / "Dockerfile").write_text(image + own, encoding="utf-8")
    return addon


def main() -> int:
    """Put it together; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    try:
        addon = assemble(parser.parse_args().folder)
    except OSError as exc:
        sys.stderr.write(f"home_assistant_addon.py: {exc}\n")
        return 1
    sys.stdout.write(f"the add-on is in {addon}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
