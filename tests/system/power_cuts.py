"""What a power cut leaves of files, out of everything that a process asked the system to do.

The process runs under strace. What it wrote before a file's last fsync is on the disk; of what it
wrote since, any 512 bytes may be or not, in any order. A name that was made, changed or deleted is
sure once its directory was synced; of the changes since, the first few are there.
"""

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR_BYTES = 512
CALLS = "openat,write,pwrite64,fsync,fdatasync,ftruncate,rename,unlink"

_LINE = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"^\d+<((?:\\x[0-9a-f]{2})*)>")


@dataclass
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: cut there

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.durable, change)
        self.pending.clear()

    def after_cut(self, dice: random.Random) -> bytes:
        content = bytearray(self.durable)
        survival = dice.choice((0.0, 0.5, 0.9, 1.0))
        for at, data in self.pending:
            if data is None:
                if dice.random() < survival:
                    _apply(content, (at, None))
                continue
            for start in range(0, len(data), SECTOR_BYTES):
                if dice.random() < survival:
                    _apply(content, (at + start, data[start : start + SECTOR_BYTES]))
        return bytes(content)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _apply(content: bytearray, change: tuple[int, bytes | None]) -> None:
    at, data = change
    if len(content) < at:
        content.extend(bytes(at - len(content)))
    if data is None:
        del content[at:]
    else:
        content[at : at + len(data)] = data


class Disk:
    """A directory as it was, and what a process then did to it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._names = {
            path: _File(bytearray(path.read_bytes()))
            for path in directory.iterdir()
            if path.is_file() and not path.name.endswith("-shm")  # memory, as far as SQLite cares
        }
        self._durable_names = dict(self._names)
        self._renamings: list[dict[Path, _File]] = []
        self.said = bytearray()

    def do(self, line: str) -> None:
        """Follow one line of the trace."""
        found = _LINE.match(line)
        if found is None or found[3].startswith("-"):
            return
        call, arguments, result = found[1], found[2], int(found[3])
        strings = [_bytes(text) for text in _STRING.findall(arguments)]
        of = _FILE.match(arguments)
        path = Path(_bytes(of[1]).decode()) if of else Path()
        if call == "write" and arguments.startswith("1<"):
            self.said += strings[0][:result]
        elif call == "openat" and "O_CREAT" in arguments:
            self._create(Path(strings[0].decode()), truncate="O_TRUNC" in arguments)
        elif call in ("rename", "unlink"):
            names = dict(self._names)
            file = names.pop(Path(strings[0].decode()), None)
            if file is not None and call == "rename":
                names[Path(strings[1].decode())] = file
            self._change_names(names)
        elif call in ("fsync", "fdatasync") and path == self._directory:
            self._durable_names = dict(self._names)
            self._renamings.clear()
        elif path in self._names:
            file = self._names[path]
            if call == "pwrite64":
                file.pending.append((int(arguments.rpartition(", ")[2]), strings[0][:result]))
            elif call == "ftruncate":
                file.pending.append((int(arguments.rpartition(", ")[2]), None))
            elif call in ("fsync", "fdatasync"):
                file.sync()
            else:
                raise AssertionError(f"{call} of {path} is not followed")

    def cut(self, into: Path, dice: random.Random) -> None:
        """Write what is left when the power goes now."""
        into.mkdir(parents=True)
        survived = dice.randint(0, len(self._renamings))
        names = self._renamings[survived - 1] if survived else self._durable_names
        for path, file in names.items():
            (into / path.name).write_bytes(file.after_cut(dice))
            if path.suffix == ".sqlite" and dice.random() < 0.5:
                (into / f"{path.name}-shm").write_bytes(dice.randbytes(32768))

    def _create(self, path: Path, *, truncate: bool) -> None:
        if path.parent != self._directory or path.name.endswith("-shm"):
            return
        if path not in self._names:
            self._change_names({**self._names, path: _File()})
        elif truncate:
            self._names[path].pending.append((0, None))

    def _change_names(self, names: dict[Path, _File]) -> None:
        self._names = names
        self._renamings.append(names)


def trace(directory: Path, program: str, *arguments: str) -> Iterator[str]:
    """Run a Python program to its end, and tell what it asked the system to do."""
    log = directory.with_name(directory.name + ".strace")
    subprocess.run(
        [
            *("strace", "-y", "-xx", "-s", "1000000", "-e", f"trace={CALLS}", "-o", str(log)),
            *(sys.executable, "-c", program, *arguments),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with log.open() as lines:
        yield from lines
