"""Fuzzing the doorbell: ``.venv/bin/python tools/fuzz.py pictures --runs 1000000``.

Needs atheris, the extra ``fuzz``. Each target runs in a process of its own, so that a crash in
native code is seen too. What it shows: executions, their rate, how much of our Python and of the
libraries' Python the inputs reached, the slowest input, and how much memory grew after warming up.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import re
import shlex
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from fuzzing import CORPUS, TARGETS, load_target

WORK = Path(__file__).parents[1] / "build" / "fuzz"
# Instrumented for coverage: ours, and the libraries' Python through which an input goes.
INSTRUMENTED = ["doorbell", "PIL", "flatbuffers", "fuzzing", "onnx", "tflite", "tomllib"]
# Of the time or the executions asked for; the caches of interpreter and libraries fill up in it.
WARM_UP = 0.2
MAX_GROWTH_MB = 50
# libFuzzer's own limit on one input: the clock's, and against a real hang.
HANG_SECONDS = 60


@dataclass
class Figures:
    """What one run showed.

    Attributes:
        executions: inputs tried.
        seconds: they took.
        features: of coverage: edges, and how often each was taken.
        inputs: kept because each reaches something that no other does.
        slowest_ms: processor time of the slowest input.
        resident_mb: memory over time, once a second.
        log: the last lines.
    """

    executions: int = 0
    seconds: float = 0.0
    features: int = 0
    inputs: int = 0
    slowest_ms: float = 0.0
    resident_mb: list[float] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @property
    def growth_mb(self) -> float:
        """Of the least memory in use, from the quarter after the warm-up to the last one."""
        settled = self.resident_mb[int(len(self.resident_mb) * WARM_UP) :]
        quarter = max(len(settled) // 4, 1)
        return min(settled[-quarter:], default=0) - min(settled[:quarter], default=0)

    def read(self, line: str) -> None:
        """Take in a line of the fuzzer."""
        self.log = [*self.log[-60:], line]
        if "\tINITED" in line:
            self.resident_mb.clear()  # until then libraries were loaded
        if status := re.match(r"#(\d+)\s.*?(?: ft: (\d+) corp: (\d+)/)", line):
            self.executions, self.features, self.inputs = map(int, status.groups())
        elif slowest := re.match(r"slowest: (\d+) ms", line):
            self.slowest_ms = float(slowest[1])
        elif final := re.match(r"Done (\d+) runs", line):
            self.executions = int(final[1])


def main() -> int:
    """Run the targets asked for, one after the other; 1 if one had a finding."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions of each target")
    parser.add_argument("--seconds", type=int, default=0, help="at most, of each target")
    parser.add_argument(
        "--save", action="store_true", help="afterwards keep what is worth it in tools/fuzzing"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    known, rest = parser.parse_known_args()
    if known.child:
        _fuzz(known.targets[0], rest)
    if rest or not set(known.targets) <= set(TARGETS):
        parser.error(f"the targets are {', '.join(TARGETS)}")
    failed = False
    for target in known.targets or TARGETS:
        code, figures = _run(target, known.runs, known.seconds)
        grew = figures.growth_mb > MAX_GROWTH_MB
        print(  # noqa: T201 - what this tool is for
            f"{target}: {figures.executions} executions in {figures.seconds:.0f} s "
            f"({figures.executions / max(figures.seconds, 1):.0f}/s), {figures.features} features, "
            f"{figures.inputs} inputs kept, slowest {figures.slowest_ms:.0f} ms, "
            f"peak {max(figures.resident_mb, default=0):.0f} MB, "
            f"growth {figures.growth_mb:+.1f} MB: "
            + ("a finding" if code else "grew" if grew else "no finding"),
            flush=True,
        )
        if code:
            print("".join(figures.log))  # noqa: T201 - what this tool is for
        elif known.save:
            subprocess.run(
                [*_child(target), "-merge=1", CORPUS / target, WORK / target], check=True
            )
        failed |= bool(code) or grew
    return int(failed)


def _run(name: str, runs: int, seconds: int) -> tuple[int, Figures]:
    target, corpus = load_target(name), WORK / name
    corpus.mkdir(parents=True, exist_ok=True)
    (CORPUS / name).mkdir(parents=True, exist_ok=True)
    command = [*_child(name), str(corpus), str(CORPUS / name), f"-max_len={target.MAX_BYTES}"]
    command += [f"-runs={runs}", f"-max_total_time={seconds}"]
    command += [f"-timeout={HANG_SECONDS}", f"-artifact_prefix={WORK / name}-"]
    # Coverage does not tell one codec from another, which are native code: every seed stays.
    command += ["-report_slow_units=3600", "-keep_seed=1", "-entropic_scale_per_exec_time=1"]
    figures, begin = Figures(), time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise RuntimeError("the child has no output")
        threading.Thread(target=_sample, args=(process.pid, figures), daemon=True).start()
        for raw in process.stdout:
            figures.read(raw.decode(errors="replace"))
    figures.seconds = time.monotonic() - begin
    return process.returncode, figures


def _child(name: str) -> list[str]:
    return [sys.executable, __file__, name, "--child"]


def _fuzz(name: str, arguments: list[str]) -> None:
    """Throw inputs at one target in this process until something breaks or all are done."""
    import atheris

    logging.disable()
    with atheris.instrument_imports(include=INSTRUMENTED):
        target = load_target(name)
    for seed in target.seeds():
        (WORK / name / hashlib.sha256(seed).hexdigest()).write_bytes(seed)
    slowest = 0.0

    def one(content: bytes) -> None:
        nonlocal slowest
        begin = time.process_time()
        target.check(content)
        seconds = time.process_time() - begin
        if seconds > 1.5 * slowest:
            slowest = seconds
            print(f"slowest: {seconds * 1000:.0f} ms", file=sys.stderr)  # noqa: T201 - to _run
        if seconds > target.MAX_SECONDS:
            raise TimeoutError(f"{seconds:.1f} s for one input")

    # By its first word the fuzzer starts itself anew, to save a corpus.
    atheris.Setup([shlex.join(_child(name)), *arguments], one)
    atheris.Fuzz()


def _sample(pid: int, figures: Figures) -> None:
    while resident_mb := _resident_mb(pid):
        figures.resident_mb.append(resident_mb)
        time.sleep(1)


def _resident_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    resident = re.search(r"VmRSS:\s+(\d+)", status)
    return int(resident[1]) / 1024 if resident else 0.0


if __name__ == "__main__":
    sys.exit(main())
