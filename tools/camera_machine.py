"""Runs a command where the kernel has cameras, in QEMU: ``tools/camera_machine.py pytest ...``.

Most machines that develop and test have no camera, and a kernel without the drivers that would
stand in for one: the virtual camera (vivid), and webcams (uvcvideo) behind the virtual host
controller (vhci_hcd). This boots Debian's kernel, which has them, in QEMU, with this machine's own
files to read only, and runs the command there, as root, in the working directory; /tmp, /var/tmp
and /run are empty and its own. Ends with the command's exit code.

Needs mmdebstrap, by which QEMU is fetched (170 MB), and fetches Debian's kernel (70 MB), both into
``build/machines`` where they are not there. A start takes some 15 s, and what runs takes ten times
as long as here.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from machines.clean_system import CannotMakeError
from machines.qemu import (
    build_initramfs,
    emulator,
    fetch_emulator,
    fetch_kernel,
    modules_in_order,
    shared_folder,
)

MODULES = ("virtio_pci", "9pnet_virtio", "9p", "vivid", "vhci_hcd", "uvcvideo")
# One capture device with one webcam input: no tuners, outputs and radios.
PARAMETERS = {"vivid": "n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0"}
MEGABYTES = 3072
DONE = re.compile(r"^camera machine: exit code (\d+)\s*$", re.MULTILINE)

SCRIPT = """\
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro machine /machine
for folder in proc sys dev; do mount --move "/$folder" "/machine/$folder"; done
mkdir -p /machine/dev/shm
for folder in tmp run var/tmp dev/shm; do mount -t tmpfs none "/machine/$folder"; done
ip link set lo up
chroot /machine /bin/sh -c {command}
echo "camera machine: exit code $?"
poweroff -f
"""


def script(command: list[str]) -> str:
    """What is done once the modules are loaded: the command, in this machine's files."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/tmp",  # noqa: S108 - the virtual machine's own
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    line = f"cd {shlex.quote(str(Path.cwd()))} && exec env "
    line += shlex.join([*(f"{key}={value}" for key, value in environment.items()), *command])
    return SCRIPT.format(command=shlex.quote(line))


def run(command: list[str]) -> int:
    """Boot, run the command, show what it prints; its exit code."""
    fetch_emulator()
    kernel = fetch_kernel()
    with tempfile.TemporaryDirectory() as name:
        initramfs = Path(name) / "initramfs"
        build_initramfs(modules_in_order(kernel, MODULES), script(command), initramfs, PARAMETERS)
        machine = emulator(
            kernel,
            initramfs,
            megabytes=MEGABYTES,
            append="loglevel=1",
            options=shared_folder("machine", Path("/")),
        )
        printed = ""
        with subprocess.Popen(
            machine, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
        ) as process:
            for line in process.stdout or ():
                printed = line
                if not DONE.match(line):
                    sys.stdout.write(line)
                    sys.stdout.flush()
                else:
                    break
            process.wait(30)
    ended = DONE.search(printed)
    return int(ended[1]) if ended else 125


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    try:
        code = run(sys.argv[1:])
    except CannotMakeError as cause:
        raise SystemExit(f"camera_machine: {cause}") from None
    raise SystemExit(code)
