"""Two measurements of a GPU that are no part of ``doorbell check --gpu``; each prints its JSON.

``regions``: the network that cuts its own regions, on a frame in the GPU's memory and on the same
frame in the processor's. ``growth``: detection and embedding for minutes, and what memory they
take.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from doorbell.config import Config, load_config
from doorbell.errors import InferenceError
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.inference import DeviceArray, Input
from doorbell.inference.tensorrt import require_gpu
from doorbell.measure.speed.backends import tensorrt_backend
from doorbell.models.manifest import load_manifest
from doorbell.models.store import face_path, models_directory, network_files
from doorbell.pipeline.perception import open_perception

NETWORK = "blazeface_short"
REGIONS = np.array([[0, 0, 720], [200, 100, 360], [640, 360, 180]], np.float32)
RUNS = 200
SETTLING_SECONDS = 30.0
READ_EVERY_SECONDS = 5.0
# Above it something is kept of each frame: at 100 frames a second, a hundred bytes of each.
GROWTH_BYTES_PER_SECOND = 10_000.0


def regions(config: Config) -> dict[str, object]:
    """Compare both ways, and time them."""
    import pycuda.driver as cuda

    frame = np.random.default_rng(1).integers(0, 256, (1, 720, 1280, 3), dtype=np.uint8)
    files = network_files(NETWORK, config.inference, cutting_regions=True)
    with closing(tensorrt_backend(config.inference, "float16").open(files)) as runner:
        context = cuda.Device(0).retain_primary_context()
        context.push()
        try:
            memory = cuda.mem_alloc(frame.nbytes)
            cuda.memcpy_htod(memory, frame)
        finally:
            cuda.Context.pop()
        ways: dict[str, Input] = {
            "in the GPU's memory": DeviceArray(int(memory), frame),
            "in the processor's memory": frame,
        }
        outputs, milliseconds = {}, {}
        for name, given in ways.items():
            outputs[name] = runner.infer({"frame": given, "regions": REGIONS})
            began = time.perf_counter()
            for _ in range(RUNS):
                runner.infer({"frame": given, "regions": REGIONS})
            milliseconds[name] = (time.perf_counter() - began) / RUNS * 1000
        context.push()
        try:
            memory.free()
        finally:
            cuda.Context.pop()
    first, second = outputs.values()
    apart = max(float(np.abs(first[name] - second[name]).max()) for name in first)
    return {"passed": apart < 1e-3, "largest_difference": apart, "milliseconds": milliseconds}


def growth(config: Config, seconds: float) -> dict[str, object]:
    """Find and embed faces for so long; how memory changed meanwhile."""
    import pycuda.driver as cuda

    backend = tensorrt_backend(config.inference, "float16")
    name = next(iter(load_manifest().faces))
    pixels = decode_photo(read_photo(face_path(name, models_directory(config.inference))), name)
    readings: list[tuple[float, int, int]] = []
    with closing(
        open_perception(config, open_network=lambda files, _section: backend.open(files))
    ) as perception:
        context = cuda.Device(0).retain_primary_context()
        faces = perception.detect_still(pixels)
        portraits = [perception.crop_face(pixels, face) for face in faces]
        began, frames, due = time.monotonic(), 0, 0.0
        while (passed := time.monotonic() - began) < seconds:
            perception.detect(pixels, ())
            perception.embed(portraits)
            frames += 1
            if passed >= due:
                context.push()
                free, total = cuda.mem_get_info()
                cuda.Context.pop()
                readings.append((passed, resident_bytes(), total - free))
                due = passed + READ_EVERY_SECONDS
    settled = [each for each in readings if each[0] >= min(SETTLING_SECONDS, seconds / 3)]
    slopes = (
        slope([(at, resident) for at, resident, _ in settled]),
        slope([(at, used) for at, _, used in settled]),
    )
    return {
        "passed": bool(faces) and max(slopes) < GROWTH_BYTES_PER_SECOND,
        "seconds": seconds,
        "frames_per_second": frames / seconds,
        "processor_bytes_per_second": slopes[0],
        "gpu_bytes_per_second": slopes[1],
        "readings": readings,
        "most_resident_kilobytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def resident_bytes() -> int:
    """Of this process, what is in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def slope(points: list[tuple[float, int]]) -> float:
    """The change a second of the line through them."""
    if len(points) < 2:
        return 0.0
    seconds, values = np.array(points, np.float64).T
    return float(np.polyfit(seconds, values, 1)[0])


def main() -> int:
    """Do the one that is named; 0 if it passed."""
    name, *rest = sys.argv[1:]
    config = load_config(None, ["inference.backend=tensorrt"])
    try:
        require_gpu()
        found = regions(config) if name == "regions" else growth(config, float(rest[0]))
    except InferenceError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    json.dump(found, sys.stdout)
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
