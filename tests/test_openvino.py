import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from doorbell.config import InferenceSection
from doorbell.inference import open_runner
from doorbell.inference.openvino import OpenVinoRunner
from doorbell.models.store import network_files, network_path

SILENT = """
import sys
sockets = []
sys.addaudithook(lambda event, args: sockets.append(event) if event.startswith("socket.") else None)
import numpy as np
from pathlib import Path
from doorbell.inference.openvino import OpenVinoRunner
runner = OpenVinoRunner(Path(sys.argv[1]), threads=1, cache_directory=None)
runner.infer({"image": np.zeros((1, 3, 128, 128), np.float32)})
runner.close()
loaded = [name for name, module in sys.modules.items() if "telemetry" in name and module]
vendor = [name for name in loaded if name.startswith("openvino_telemetry")]
sys.exit(f"sockets {sockets}, reporting {vendor}" if sockets or vendor else 0)
"""


def test_nobody_is_called(models_directory: Path) -> None:
    path = network_path(models_directory, "blazeface_short", "float32")
    result = subprocess.run(
        [sys.executable, "-c", SILENT, str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_compiled_networks_are_kept_where_configured(
    models_directory: Path, tmp_path: Path
) -> None:
    path = network_path(models_directory, "blazeface_short", "float32")
    image = {"image": np.ones((1, 3, 128, 128), np.float32)}
    outputs = []
    for _ in range(2):
        runner = OpenVinoRunner(path, threads=1, cache_directory=tmp_path)
        outputs.append(runner.infer(image)["scores"])
        runner.close()
    assert list(tmp_path.glob("*.blob"))
    np.testing.assert_array_equal(outputs[0], outputs[1])


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is installed here")
def test_a_machine_without_tensorrt_takes_openvino_by_itself(models_directory: Path) -> None:
    section = InferenceSection(models_directory=models_directory)
    runner = open_runner(network_files("blazeface_short", section), section)
    assert isinstance(runner, OpenVinoRunner)
    runner.close()
