"""Runs a command where the kernel has cameras, in QEMU: ``tools/camera_machine.py pytest ...``.

Most machines that develop and test have no camera, and a kernel without the drivers that would
stand in for one: the virtual camera (vivid), and webcams (uvcvideo) behind the virtual host
controller (vhci_hcd). This boots Debian's kernel, which has them, in QEMU, with this machine's own
files to read only, and runs the command there, as root, in the working directory; /tmp, /var/tmp
and /run are empty and its own. Ends with the command's exit code.

Needs the packages qemu-system-x86, busybox-static and cpio, and fetches Debian's kernel (70 MB,
with apt-get) into ``build/camera-machine`` where it is not there. All is emulated, so that it works
without KVM: a start takes some 15 s, and what runs takes ten times as long as here.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "camera-machine"
BUSYBOX = Path("/bin/busybox")
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "vivid", "vhci_hcd", "uvcvideo")
# One capture device with one webcam input: no tuners, outputs and radios.
VIVID = "n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0"
MEGABYTES = 3072
DONE = re.compile(r"^camera machine: exit code (\d+)\s*$", re.MULTILINE)

INIT = """\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
    case $module in
        */vivid.ko) insmod "$module" {parameters} ;;
        *) insmod "$module" ;;
    esac
done < /modules.order
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro machine /machine
for folder in proc sys dev; do mount --move "/$folder" "/machine/$folder"; done
mkdir -p /machine/dev/shm
for folder in tmp run var/tmp dev/shm; do mount -t tmpfs none "/machine/$folder"; done
ip link set lo up
chroot /machine /bin/sh -c {command}
echo "camera machine: exit code $?"
poweroff -f
"""


def fetch_kernel() -> tuple[Path, Path]:
    """Unpack Debian's kernel package; the kernel and the folder of its modules."""
    kernels = sorted(WORK.glob("kernel/boot/vmlinuz-*"))
    if not kernels:
        WORK.mkdir(parents=True, exist_ok=True)
        depends = subprocess.run(
            ["apt-cache", "depends", "linux-image-amd64"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        package = re.search(r"Depends: (linux-image-\S+)", depends)
        if package is None:
            raise SystemExit("camera_machine: apt knows no linux-image-amd64; run apt-get update")
        subprocess.run(["apt-get", "download", "--quiet", package[1]], check=True, cwd=WORK)
        [archive] = WORK.glob(f"{package[1]}_*.deb")
        subprocess.run(["dpkg-deb", "-x", str(archive), "kernel"], check=True, cwd=WORK)
        archive.unlink()
        kernels = sorted(WORK.glob("kernel/boot/vmlinuz-*"))
    kernel = kernels[-1]
    version = kernel.name.removeprefix("vmlinuz-")
    if not (modules := WORK / "kernel" / "lib" / "modules" / version / "modules.dep").exists():
        subprocess.run(["depmod", "-b", str(WORK / "kernel"), version], check=True)
    return kernel, modules.parent


def modules_in_order(folder: Path) -> list[Path]:
    """The modules that are needed, each after those that it depends on."""
    needs: dict[str, list[str]] = {}
    for line in (folder / "modules.dep").read_text(encoding="utf-8").splitlines():
        path, _, others = line.partition(":")
        needs[path] = others.split()
    by_name = {Path(path).stem.replace("-", "_"): path for path in needs}
    ordered: list[str] = []

    def add(path: str) -> None:
        for other in needs[path]:
            add(other)
        if path not in ordered:
            ordered.append(path)

    for name in MODULES:
        add(by_name[name])
    return [folder / path for path in ordered]


def build_initramfs(modules: list[Path], command: list[str], target: Path) -> None:
    """Write what the kernel starts: busybox, the modules and a script."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for folder in ("bin", "proc", "sys", "dev", "machine", "lib"):
            (root / folder).mkdir()
        shutil.copy(BUSYBOX, root / "bin" / "busybox")
        for applet in ("sh", "mount", "mkdir", "insmod", "ip", "chroot", "poweroff", "echo"):
            (root / "bin" / applet).symlink_to("busybox")
        for module in modules:
            shutil.copy(module, root / "lib")
        (root / "modules.order").write_text("".join(f"/lib/{each.name}\n" for each in modules))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/tmp",  # noqa: S108 - the virtual machine's own
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        environment |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        line = f"cd {shlex.quote(str(Path.cwd()))} && exec env "
        line += shlex.join([*(f"{key}={value}" for key, value in environment.items()), *command])
        (root / "init").write_text(INIT.format(parameters=VIVID, command=shlex.quote(line)))
        (root / "init").chmod(0o755)
        names = "\n".join(str(p.relative_to(root)) for p in sorted(root.rglob("*")))
        with target.open("wb") as file:
            subprocess.run(
                ["cpio", "--create", "--format=newc", "--quiet"],
                input=names.encode(),
                stdout=file,
                cwd=root,
                check=True,
            )


def run(command: list[str]) -> int:
    """Boot, run the command, show what it prints; its exit code."""
    kernel, folder = fetch_kernel()
    with tempfile.TemporaryDirectory() as name:
        initramfs = Path(name) / "initramfs"
        build_initramfs(modules_in_order(folder), command, initramfs)
        emulator = [
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max"),
            *("-smp", str(os.cpu_count() or 1), "-m", str(MEGABYTES)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-serial", "stdio"),
            *("-kernel", str(kernel), "-initrd", str(initramfs)),
            *("-append", "console=ttyS0 loglevel=1 panic=-1"),
            *("-fsdev", "local,id=machine,path=/,security_model=none,readonly=on,multidevs=remap"),
            *("-device", "virtio-9p-pci,fsdev=machine,mount_tag=machine"),
        ]
        printed = ""
        with subprocess.Popen(
            emulator, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
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
    raise SystemExit(run(sys.argv[1:]))
