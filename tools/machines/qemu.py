"""Debian's kernel in QEMU: what it takes, fetched once into ``build/machines``.

All is emulated, so that it works without KVM. The QEMU is that of Debian 13: the one of Debian 12
computes NumPy wrongly where a processor has newer vector instructions. Needs mmdebstrap, and for
modules of our own gcc 12 and make.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from machines.clean_system import CHECKOUT, CannotMakeError, system_of_this_machine

WORK = CHECKOUT / "build" / "machines"
EMULATOR = WORK / "qemu"
# What runs before the system's own programs do, and what packs it.
PROGRAMS = ("qemu-system-x86", "busybox-static", "cpio")
APPLETS = ("sh", "mount", "mkdir", "insmod", "ip", "chroot", "switch_root", "poweroff", "echo")
# One core, and a nanosecond (two to the power of none) for each instruction: at four of them the
# daemon got through 0.2 frames a second, too few to follow anybody.
COUNTED = ("-smp", "1", "-icount", "shift=0", "-rtc", "clock=vm")
# Emulating what AVX and FMA compute takes several times as long as emulating SSE.
PROCESSOR = "max,avx=off,avx2=off,fma=off"
MOUNTS = {"proc": "proc", "sysfs": "sys", "devtmpfs": "dev"}
# Each by its source: v4l2loopback is in no kernel, and gpio-sim, which needs the simulated
# interrupts, in none of Debian's.
BUILT = ("gpio-sim", "v4l2loopback")
SIMULATED_LINES = {"drivers/gpio/gpio-sim.c": "chip.c", "drivers/gpio/gpiolib.h": "gpiolib.h"}
SIMULATED_INTERRUPTS = "kernel/irq/irq_sim.c"
KBUILD = """\
obj-m := gpio-sim.o v4l2loopback.o
gpio-sim-y := chip.o irq_sim.o
"""


@dataclass(frozen=True)
class Kernel:
    """A kernel of Debian's, unpacked.

    Attributes:
        image: what is booted.
        version: as ``uname -r`` says it.
        modules: the folder of its modules, where ``modules.dep`` is.
    """

    image: Path
    version: str
    modules: Path


def fetch_kernel() -> Kernel:
    """Unpack Debian's kernel package, if it is not there.

    Raises:
        CannotMakeError: apt knows none.
    """
    if not (kernels := sorted(WORK.glob("kernel/boot/vmlinuz-*"))):
        _unpack(_dependency("linux-image-amd64", "linux-image-"))
        kernels = sorted(WORK.glob("kernel/boot/vmlinuz-*"))
    version = kernels[-1].name.removeprefix("vmlinuz-")
    modules = WORK / "kernel" / "lib" / "modules" / version
    if not (modules / "modules.dep").exists():
        subprocess.run(["depmod", "-b", WORK / "kernel", version], check=True)
    return Kernel(kernels[-1], version, modules)


def add_built_modules(kernel: Kernel) -> None:
    """Build v4l2loopback and gpio-sim for it, among its own modules, if they are not there.

    Raises:
        CannotMakeError: apt does not know their sources, or there is no compiler.
    """
    target = kernel.modules / "updates"
    if all((target / f"{name}.ko").exists() for name in BUILT):
        return
    if not (shutil.which("gcc-12") and shutil.which("make")):
        raise CannotMakeError("there is no gcc-12 and make; apt install gcc-12 make")
    headers = f"linux-headers-{kernel.version}"
    series = ".".join(kernel.version.split(".")[:2])
    common = _dependency(headers, "linux-headers-")
    _unpack(headers, common, f"linux-kbuild-{series}", "v4l2loopback-dkms")
    sources = WORK / "kernel" / "usr" / "src"
    makefile = sources / headers / "Makefile"
    # It names the place where the package would be installed.
    makefile.write_text(f"include {sources / common / 'Makefile'}\n")
    with tempfile.TemporaryDirectory(prefix="doorbell-modules-") as name:
        folder = Path(name)
        for source in sources.glob("v4l2loopback-*/v4l2loopback*.[ch]"):
            shutil.copy(source, folder)
        _unpack_sources(f"linux-source-{series}", folder)
        (folder / "Kbuild").write_text(KBUILD)
        subprocess.run(
            ["make", "-s", "-C", sources / headers, f"M={folder}", "modules"], check=True
        )
        target.mkdir(exist_ok=True)
        for module in BUILT:
            shutil.copy(folder / f"{module}.ko", target)
    subprocess.run(["depmod", "-b", WORK / "kernel", kernel.version], check=True)


def _unpack_sources(package: str, folder: Path) -> None:
    """Put gpio-sim and the simulated interrupts there, out of the kernel's whole source."""
    [archive] = _download(package)
    listing = f"linux-source-{package.removeprefix('linux-source-')}"
    wanted = [f"{listing}/{path}" for path in (*SIMULATED_LINES, SIMULATED_INTERRUPTS)]
    unpack = f'dpkg-deb --fsys-tarfile "$1" | tar -xO ./usr/src/{listing}.tar.xz'
    command = f'{unpack} | tar -xJ -C "$2" {" ".join(wanted)}'
    subprocess.run(["sh", "-c", command, "sh", archive, folder], check=True)
    archive.unlink()
    for path, name in SIMULATED_LINES.items():
        shutil.move(folder / listing / path, folder / name)
    interrupts = (folder / listing / SIMULATED_INTERRUPTS).read_text(encoding="utf-8")
    # A module may not ask for an interrupt's description, but for its data, which leads there.
    may_not, may = "irq_to_desc(irqnum)", "irq_data_to_desc(irq_get_irq_data(irqnum))"
    (folder / "irq_sim.c").write_text(interrupts.replace(may_not, may), encoding="utf-8")


def _dependency(package: str, prefix: str) -> str:
    """The first package with this beginning that another depends on."""
    said = subprocess.run(
        ["apt-cache", "depends", package], check=False, capture_output=True, text=True
    ).stdout
    found = re.search(rf"Depends: ({prefix}\S+)", said)
    if found is None:
        raise CannotMakeError(f"apt knows no {package}; run apt-get update")
    return found[1]


def _download(*packages: str) -> list[Path]:
    WORK.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", "--quiet", *packages], check=True, cwd=WORK)
    return [each for package in packages for each in WORK.glob(f"{package}_*.deb")]


def _unpack(*packages: str) -> None:
    for archive in _download(*packages):
        subprocess.run(["dpkg-deb", "-x", archive, WORK / "kernel"], check=True)
        archive.unlink()


def modules_in_order(kernel: Kernel, names: Iterable[str]) -> list[Path]:
    """The modules of these names, each after those that it depends on."""
    needs: dict[str, list[str]] = {}
    for line in (kernel.modules / "modules.dep").read_text(encoding="utf-8").splitlines():
        path, _, others = line.partition(":")
        needs[path] = others.split()
    by_name = {Path(path).stem.replace("-", "_"): path for path in needs}
    ordered: list[str] = []

    def add(path: str) -> None:
        for other in needs[path]:
            add(other)
        if path not in ordered:
            ordered.append(path)

    for name in names:
        add(by_name[name.replace("-", "_")])
    return [kernel.modules / path for path in ordered]


def fetch_emulator() -> None:
    """Unpack QEMU and the programs of the first moment, if they are not there.

    Raises:
        CannotMakeError: there is no mmdebstrap.
    """
    if EMULATOR.exists():
        return
    if not shutil.which("mmdebstrap"):
        raise CannotMakeError("there is no mmdebstrap; apt install mmdebstrap")
    WORK.mkdir(parents=True, exist_ok=True)
    _, mirror = system_of_this_machine()
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        root = Path(name) / "root"
        subprocess.run(
            [
                *("mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(PROGRAMS)}"),
                *("trixie", root, mirror),
            ],
            check=True,
        )
        root.rename(EMULATOR)


def program(name: str) -> list[str]:
    """How a program of QEMU's system is run in this one: with its own libraries."""
    libraries = EMULATOR / "usr" / "lib" / "x86_64-linux-gnu"
    loader = EMULATOR / "usr" / "lib64" / "ld-linux-x86-64.so.2"
    return [str(loader), "--library-path", str(libraries), str(EMULATOR / "usr" / "bin" / name)]


def emulator(
    kernel: Kernel,
    initramfs: Path,
    *,
    megabytes: int,
    counted: bool = False,
    append: str = "",
    options: Sequence[str],
) -> list[str]:
    """The command of a machine whose console is its output.

    It has all of this one's cores, or one core whose instructions are its clock, so that nothing is
    late in it, however slow or loaded this machine is. Where it has nothing to do, its time passes
    as ours does.

    Args:
        kernel: what is booted.
        initramfs: of ``build_initramfs``.
        megabytes: of memory.
        counted: whether instructions are its clock.
        append: to the kernel's command line.
        options: of QEMU: the machine's disks and folders.
    """
    roms = [
        part for each in ("qemu", "seabios") for part in ("-L", str(EMULATOR / "usr/share" / each))
    ]
    return [
        *(*program("qemu-system-x86_64"), *roms, "-accel", "tcg", "-cpu", PROCESSOR),
        *("-m", str(megabytes)),
        *(COUNTED if counted else ("-smp", str(os.cpu_count() or 1))),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(kernel.image), "-initrd", str(initramfs)),
        # Where interrupts of the timer come late, the kernel would take them for broken.
        *("-append", f"console=ttyS0 no_timer_check panic=-1 {append}"),
        *options,
    ]


def shared_folder(tag: str, folder: Path, *, read_only: bool = True) -> list[str]:
    """QEMU's options that show a folder of this machine, as the 9p file system of this tag."""
    access = "readonly=on" if read_only else "readonly=off"
    return [
        *("-fsdev", f"local,id={tag},path={folder},security_model=none,multidevs=remap,{access}"),
        *("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
    ]


def build_initramfs(
    modules: Iterable[Path], script: str, target: Path, parameters: Mapping[str, str] | None = None
) -> None:
    """Write what the kernel starts: busybox, the modules, and a script once these are loaded.

    Args:
        modules: in their order.
        script: lines for busybox's shell.
        target: the file.
        parameters: of modules, by their names.
    """
    load = [f"insmod /lib/{each.name} {(parameters or {}).get(each.stem, '')}" for each in modules]
    mounts = [f"mount -t {kind} {kind} /{at}" for kind, at in MOUNTS.items()]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for folder in ("bin", "machine", "lib", *MOUNTS.values()):
            (root / folder).mkdir()
        shutil.copy(EMULATOR / "usr" / "bin" / "busybox", root / "bin")
        for applet in APPLETS:
            (root / "bin" / applet).symlink_to("busybox")
        for module in modules:
            shutil.copy(module, root / "lib")
        (root / "init").write_text("\n".join(["#!/bin/sh", *mounts, *load, script]))
        (root / "init").chmod(0o755)
        names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
        with target.open("wb") as file:
            subprocess.run(
                [*program("cpio"), "--create", "--format=newc", "--quiet"],
                input=names.encode(),
                stdout=file,
                cwd=root,
                check=True,
            )
