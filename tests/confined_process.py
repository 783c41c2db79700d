"""Programs that stand in the place of a confined process, and what the kernel says of one."""

import sys
import textwrap
from pathlib import Path

# Beginning of a program that answers by itself: ``say`` frames a message as the worker reads it.
SAY = """
import struct, sys
def say(text, blob=b""):
    out = sys.stdout.buffer
    out.write(struct.pack(">II", len(text), len(blob)) + text + blob); out.flush()
say(b'{"ready": true}')
"""
# Defines ``tell(tries)``: what became of each, by its name, of code that may not succeed.
TELL = """
def tell(tries):
    told = []
    for name, code in tries.items():
        try:
            exec(code, globals())
            told.append(name + ": done")
        except OSError as exc:
            told.append(name + ": " + exc.strerror)
    return "|".join(told)
"""


def program(folder: Path, *parts: str) -> tuple[str, ...]:
    """The command that runs a program of those parts, which are written to a file there."""
    file = folder / "program.py"
    file.write_text("\n".join(map(textwrap.dedent, parts)), encoding="utf-8")
    return sys.executable, str(file)


def limits(pid: int | None) -> dict[str, str]:
    """The limits that a process is held to now, as /proc names them."""
    lines = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[0] for line in lines}
