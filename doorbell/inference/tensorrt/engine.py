"""Building an engine from an ONNX file.

What a module can do is asked of the module (see ``versions``), so that one path serves TensorRT
8.6, 10, 11 and RTX.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

from doorbell.errors import InferenceError
from doorbell.inference import NetworkFiles
from doorbell.inference.tensorrt.cache import read_file, write_file
from doorbell.inference.tensorrt.log import open_log

Precision: TypeAlias = Literal["float16", "float32"]
# Told the share of the work that is done, 0 to 1.
Progress: TypeAlias = Callable[[float], None]

# An engine reserves memory for its largest batch; larger ones run in parts.
MAX_BATCH = 16
# Smallest, usual and largest size of a dimension that the network leaves open, by its name there.
# Frames are 720p by default (doorbell.config) and 2160p at most.
OPEN_SIZES = {
    "batch": (1, 8, MAX_BATCH),
    "height": (16, 720, 2160),
    "width": (16, 1280, 3840),
}
# For a batch of faces or people at 300 pixels Turing takes more than half of this.
WORKSPACE_BYTES = 1 << 30


def is_strongly_typed(trt: Any) -> bool:
    """Say whether this TensorRT takes precision from the graph; 8.6 takes a flag instead."""
    return hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def network_file(trt: Any, files: NetworkFiles, precision: Precision = "float16") -> Path:
    """Return the file to build from: the graph's own float16, or float32 and a flag, never both."""
    if files.float16 is None or precision == "float32" or not is_strongly_typed(trt):
        return files.float32
    return files.float16


def build_engine(
    trt: Any,
    network_path: Path,
    *,
    architecture: str | None = None,
    precision: Precision = "float16",
    timing_cache: Path | None = None,
    progress: Progress | None = None,
) -> bytes:
    """Build a serialized engine for batches of 1 to ``MAX_BATCH``.

    Args:
        trt: the module ``tensorrt``, or ``tensorrt_rtx``, which has the same interface.
        network_path: see ``network_file``.
        architecture: such as ``SM86``, to build for a GPU that is not here, which only
            ``tensorrt_rtx`` can; None for the GPU of this machine.
        precision: of ``network_path``'s arithmetic.
        timing_cache: file of what was measured in earlier builds, which makes the next ones faster;
            read and written where this TensorRT measures.
        progress: called from TensorRT's threads; on 8.6 at the end only.

    Raises:
        InferenceError: types do not fit within the network; or with everything that the parser and
            the builder said.
    """
    _check_types(network_path)
    log = open_log(trt)
    log.take_errors()
    builder = trt.Builder(log)
    strongly_typed = is_strongly_typed(trt)
    creation = trt.NetworkDefinitionCreationFlag
    flag = creation.STRONGLY_TYPED if strongly_typed else creation.EXPLICIT_BATCH
    network = builder.create_network(1 << int(flag))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(network_path)):
        errors = [str(parser.get_error(index)) for index in range(parser.num_errors)]
        raise InferenceError(f"TensorRT {trt.__version__} cannot read {network_path}: {errors}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    if precision == "float32":
        config.clear_flag(trt.BuilderFlag.TF32)
    elif not strongly_typed:
        config.set_flag(trt.BuilderFlag.FP16)
    if architecture is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, architecture), 0)
    config.add_optimization_profile(_profile(builder, network))
    # RTX leaves measuring to the machine that runs the engine.
    if hasattr(trt, "IRuntimeCache"):
        timing_cache = None
    if timing_cache is not None:
        _read_timings(config, timing_cache)
    # TensorRT does not hold the monitor: this name does, until the engine is built.
    monitor = _open_monitor(trt, progress)
    if monitor is not None:
        config.progress_monitor = monitor
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        raise InferenceError(
            f"TensorRT {trt.__version__} cannot build {network_path}: {log.take_errors()}"
        )
    if timing_cache is not None:
        write_file(timing_cache, bytes(config.get_timing_cache().serialize()))
    if progress is not None:
        progress(1.0)
    return bytes(serialized)


def _check_types(network_path: Path) -> None:
    """Refuse a network that mixes types within an operator.

    TensorRT-RTX 1.7 builds an engine from a float16 graph whose Pad constant is float32, another
    version refused it (2026-11-22): what it would compute is not worth finding out.
    """
    from onnx.checker import ValidationError, check_model
    from onnx.shape_inference import InferenceError as OnnxInferenceError

    try:
        check_model(str(network_path), full_check=True)
    except (ValidationError, OnnxInferenceError) as exc:
        raise InferenceError(
            f"cannot read {network_path} as a network: {exc}; delete it and run "
            "`doorbell models build`"
        ) from exc


def _profile(builder: Any, network: Any) -> Any:
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        sizes = [
            (size,) * 3 if size >= 0 else _open_sizes(tensor, axis)
            for axis, size in enumerate(tuple(tensor.shape))
        ]
        profile.set_shape(tensor.name, *zip(*sizes, strict=True))
    return profile


def _open_sizes(tensor: Any, axis: int) -> tuple[int, int, int]:
    name = tensor.get_dimension_name(axis)
    if name not in OPEN_SIZES:
        raise InferenceError(
            f"input {tensor.name!r} leaves dimension {axis} open as {name!r}; an engine can be "
            f"built for {sorted(OPEN_SIZES)}"
        )
    return OPEN_SIZES[name]


def _read_timings(config: Any, path: Path) -> None:
    cache = config.create_timing_cache(read_file(path))
    # A file that is damaged, or of another GPU: begin anew.
    if cache is None or not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _open_monitor(trt: Any, progress: Progress | None) -> Any:
    if progress is None or not hasattr(trt, "IProgressMonitor"):
        return None

    tell = progress

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc] # the module is known only now
        """Phases lie within steps of others; the outermost ones say how far the whole is."""

        def __init__(self) -> None:
            super().__init__()
            self._phases: dict[str, tuple[str | None, int, int]] = {}
            self._told = 0.0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases[phase_name] = (parent_phase, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            parent, _, steps = self._phases[phase_name]
            self._phases[phase_name] = (parent, step + 1, steps)
            share = (step + 1) / steps
            while parent in self._phases:
                parent, done, steps = self._phases[parent]
                share = min(1.0, (done + share) / steps)
            # Phases side by side overtake each other.
            if share > self._told:
                self._told = share
                tell(share)
            return True

        def phase_finish(self, phase_name: str) -> None:
            del self._phases[phase_name]

    return Monitor()
