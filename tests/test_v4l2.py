"""What is said to V4L2's drivers is what the kernel's headers say; system/test_vivid.py has one."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from doorbell.camera import v4l2
from doorbell.camera.controls import (
    APERTURE_PRIORITY,
    AUTO,
    MANUAL,
    SHUTTER_PRIORITY,
    Name,
)

CONSTANTS = {
    "V4L2_CID_EXPOSURE_AUTO": v4l2.IDS[Name.EXPOSURE_AUTO],
    "V4L2_CID_EXPOSURE_ABSOLUTE": v4l2.IDS[Name.EXPOSURE_TIME],
    "V4L2_CID_AUTOGAIN": v4l2.IDS[Name.GAIN_AUTO],
    "V4L2_CID_GAIN": v4l2.IDS[Name.GAIN],
    "V4L2_CID_BACKLIGHT_COMPENSATION": v4l2.IDS[Name.BACKLIGHT],
    "V4L2_CID_BRIGHTNESS": v4l2.IDS[Name.BRIGHTNESS],
    "V4L2_EXPOSURE_AUTO": AUTO,
    "V4L2_EXPOSURE_MANUAL": MANUAL,
    "V4L2_EXPOSURE_SHUTTER_PRIORITY": SHUTTER_PRIORITY,
    "V4L2_EXPOSURE_APERTURE_PRIORITY": APERTURE_PRIORITY,
    "V4L2_CTRL_TYPE_MENU": v4l2.TYPE_MENU,
    "V4L2_CTRL_FLAG_DISABLED": v4l2.FLAG_DISABLED,
    "V4L2_CTRL_FLAG_READ_ONLY": v4l2.FLAG_READ_ONLY,
    "V4L2_CTRL_FLAG_WRITE_ONLY": v4l2.FLAG_WRITE_ONLY,
    "VIDIOC_G_CTRL": v4l2.VIDIOC_G_CTRL,
    "VIDIOC_S_CTRL": v4l2.VIDIOC_S_CTRL,
    "VIDIOC_QUERYCTRL": v4l2.VIDIOC_QUERYCTRL,
    "VIDIOC_QUERYMENU": v4l2.VIDIOC_QUERYMENU,
    "sizeof(struct v4l2_queryctrl)": v4l2.QUERYCTRL.size,
    "sizeof(struct v4l2_querymenu)": v4l2.QUERYMENU.size,
    "sizeof(struct v4l2_control)": v4l2.CONTROL.size,
}
# The fields that are packed one after the other, as the kernel names them.
FIELDS = {
    "v4l2_queryctrl": (
        v4l2.QUERYCTRL,
        "id type name minimum maximum step default_value flags reserved",
    ),
    "v4l2_querymenu": (v4l2.QUERYMENU, "id index name reserved"),
    "v4l2_control": (v4l2.CONTROL, "id value"),
}


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The same, as a C compiler finds it in the kernel's headers."""
    if shutil.which("cc") is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("no C compiler, or no headers of the kernel")
    folder = tmp_path_factory.mktemp("headers")
    offsets = [
        f"offsetof(struct {name}, {field})"
        for name, (_, fields) in FIELDS.items()
        for field in fields.split()
    ]
    lines = [
        f'    printf("%s\\t%lu\\n", "{each}", (unsigned long)({each}));'
        for each in [*CONSTANTS, *offsets]
    ]
    source = [
        "#include <stddef.h>",
        "#include <stdio.h>",
        "#include <linux/videodev2.h>",
        "int main(void) {",
        *lines,
        "}",
    ]
    (folder / "print.c").write_text("\n".join(source) + "\n")
    subprocess.run(["cc", "-o", "print", "print.c"], cwd=folder, check=True)
    printed = subprocess.run([folder / "print"], capture_output=True, text=True, check=True).stdout
    rows = (line.split("\t") for line in printed.splitlines())
    return {name: int(value) for name, value in rows}


def test_numbers_are_those_of_the_kernel(headers: dict[str, int]) -> None:
    assert {name: headers[name] for name in CONSTANTS} == CONSTANTS


def test_structures_are_laid_out_as_the_kernel_has_them(headers: dict[str, int]) -> None:
    for name, (layout, fields) in FIELDS.items():
        at = 0
        for field, size in zip(fields.split(), _sizes(layout.format), strict=True):
            assert headers[f"offsetof(struct {name}, {field})"] == at, (name, field)
            at += size
        assert at == layout.size


def _sizes(formats: str) -> list[int]:
    """How long each field of a layout of bytes and 32-bit numbers is."""
    sizes, count = [], ""
    for each in formats.removeprefix("="):
        if each.isdecimal():
            count += each
        else:
            sizes.append(int(count or 1) * (1 if each == "s" else 4))
            count = ""
    return sizes


def test_what_is_no_video_device_has_no_controls() -> None:
    controls = v4l2.V4l2Controls(Path("/dev/null"))
    assert controls.read() == {}
    controls.close()
    controls.close()
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        controls.set(Name.GAIN, 1)


def test_a_device_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        v4l2.V4l2Controls(Path("/dev/video99"))
