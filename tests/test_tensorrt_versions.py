"""The table of names against NVIDIA's own Python modules, of each version that it lists."""

import json
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tensorrt_bindings import documentation

from doorbell.inference.tensorrt.versions import TENSORRT, VERSIONS

# The module alone, a megabyte, without the libraries that it needs to run.
PACKAGES = {
    "8.6": "tensorrt-bindings==8.6.1",
    "10.0": "tensorrt-cu12-bindings==10.0.1",
    "10.3": "tensorrt-cu12-bindings==10.3.0",
    "10.13": "tensorrt-cu12-bindings==10.13.0.35",
    "11": "tensorrt-cu13-bindings==11.4.0.106",
}
# What the code asks a module for before it uses more: to be found where the table says, only there.
ASKED_FOR = (
    "IProgressMonitor",
    "IRuntimeCache",
    "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
)
# What is called, with the names that NVIDIA gives to the arguments.
ARGUMENTS = {
    "Builder.build_serialized_network": "network, config",
    "Builder.create_network": "flags",
    "IBuilderConfig.add_optimization_profile": "profile",
    "IBuilderConfig.clear_flag": "flag",
    "IBuilderConfig.create_timing_cache": "serialized_timing_cache",
    "IBuilderConfig.set_compute_capability": "compute_capability, index",
    "IBuilderConfig.set_flag": "flag",
    "IBuilderConfig.set_memory_pool_limit": "pool, pool_size",
    "IBuilderConfig.set_timing_cache": "cache, ignore_mismatch",
    "ICudaEngine.create_execution_context": "runtime_config",
    "ICudaEngine.get_tensor_dtype": "name",
    "ICudaEngine.get_tensor_mode": "name",
    "ICudaEngine.get_tensor_name": "index",
    "ICudaEngine.get_tensor_profile_shape": "name, profile_index",
    "ICudaEngine.get_tensor_shape": "name",
    "IExecutionContext.execute_async_v3": "stream_handle",
    "IExecutionContext.get_tensor_shape": "name",
    "IExecutionContext.set_input_shape": "name, shape",
    "IExecutionContext.set_tensor_address": "name, memory",
    "INetworkDefinition.get_input": "index",
    "IOptimizationProfile.set_shape": "input, min, opt, max",
    "IRuntimeCache.deserialize": "blob",
    "IRuntimeConfig.set_runtime_cache": "cache",
    "ITensor.get_dimension_name": "index",
    "OnnxParser.get_error": "index",
    "Runtime.deserialize_cuda_engine": "serialized_engine",
}


def arguments_of(name: str, words: str) -> set[str]:
    """Return the arguments of each form of a method, as its documentation begins."""
    method = name.rpartition(".")[2]
    signatures = re.findall(rf"{method}\(self: [^,)]+(?:, )?(.*)\) -> ", words)
    return {", ".join(re.findall(r"(\w+): ", signature)) for signature in signatures}


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def found(version: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the documentation of each name of the table that a version has."""
    if version == "rtx":
        return documentation(pytest.importorskip("tensorrt_rtx"))
    if platform.machine() != "x86_64" or not all(map(shutil.which, ("gcc", "nm", "readelf"))):
        pytest.skip("NVIDIA's modules are loaded on x86-64, with gcc and binutils")
    directory = tmp_path_factory.mktemp("bindings")
    fetch = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
    ]
    fetched = subprocess.run(
        [*fetch, "--dest", str(directory), PACKAGES[version]],
        capture_output=True,
        text=True,
        check=False,
    )
    if fetched.returncode != 0:
        pytest.skip(f"pip has no {PACKAGES[version]} for this Python: {fetched.stderr[-200:]}")
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (member,) = (name for name in archive.namelist() if name.endswith("/tensorrt.so"))
        archive.extract(member, directory)
    program = Path(__file__).with_name("tensorrt_bindings.py")
    result = subprocess.run(
        [sys.executable, str(program), str(directory / member)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    printed: dict[str, str] = json.loads(result.stdout)
    return printed


def test_a_version_has_every_name_that_is_used_with_it(version: str, found: dict[str, str]) -> None:
    used = {name for name, versions in TENSORRT.items() if version in versions}
    assert used - found.keys() == set()
    for name in ASKED_FOR:
        assert (name in found) == (name in used), name


def test_a_version_takes_the_arguments_that_are_given(version: str, found: dict[str, str]) -> None:
    for name, wanted in ARGUMENTS.items():
        # Its argument is given to RTX only.
        plain = name == "ICudaEngine.create_execution_context" and version != "rtx"
        if version in TENSORRT[name] and not plain:
            assert wanted in arguments_of(name, found[name]), found[name]


def test_the_last_versions_are_strongly_typed_only(found: dict[str, str], version: str) -> None:
    gone = {"BuilderFlag.FP16", "NetworkDefinitionCreationFlag.EXPLICIT_BATCH"} - found.keys()
    assert len(gone) == (2 if version in ("11", "rtx") else 0)
