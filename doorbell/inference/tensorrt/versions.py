"""Every name of TensorRT, pycuda and the CUDA driver that is used here, and where it exists.

The code asks a module what it has and never compares versions; the tests compare the tables with
the installed module, and give the stand-in for a GPU these names only.
"""

from __future__ import annotations

# JetPack 5 has 8.6 at most, 6.1 and 6.2 have 10.3, 7.1 has 10.13, 7.2.2 has 11.4. "rtx" is
# ``tensorrt_rtx``, for desktop GPUs.
VERSIONS = ("8.6", "10.0", "10.3", "10.13", "11", "rtx")

_ALL = VERSIONS
_FROM_10 = VERSIONS[1:]
_NOT_RTX = VERSIONS[:5]
_RTX = VERSIONS[5:]

# As NVIDIA's modules 8.6.1, 10.0.1, 10.3.0, 10.13.0, 11.4.0 and RTX 1.7.1 have them. Where a name
# exists and is not used, as the timing cache of RTX, which does nothing, the version is left out.
TENSORRT: dict[str, tuple[str, ...]] = {
    "Builder": _ALL,
    "Builder.build_serialized_network": _ALL,
    "Builder.create_builder_config": _ALL,
    "Builder.create_network": _ALL,
    "Builder.create_optimization_profile": _ALL,
    # 8.6 computes in float16 where this flag allows it; from 10.0 on the graph says so itself.
    "BuilderFlag.FP16": ("8.6",),
    # On by default: float32 would be rounded to 10 bits.
    "BuilderFlag.TF32": _ALL,
    # Building for a GPU that is not there.
    "ComputeCapability.SM75": _RTX,
    "ComputeCapability.SM86": _RTX,
    "ComputeCapability.SM89": _RTX,
    "ComputeCapability.SM120": _RTX,
    "CudaGraphStrategy.WHOLE_GRAPH_CAPTURE": _RTX,
    "DataType.FLOAT": _ALL,
    "DataType.UINT8": _ALL,
    "IBuilderConfig.add_optimization_profile": _ALL,
    "IBuilderConfig.clear_flag": _ALL,
    "IBuilderConfig.create_timing_cache": _NOT_RTX,
    "IBuilderConfig.get_timing_cache": _NOT_RTX,
    "IBuilderConfig.num_compute_capabilities": _RTX,
    "IBuilderConfig.progress_monitor": _FROM_10,
    "IBuilderConfig.set_compute_capability": _RTX,
    "IBuilderConfig.set_flag": ("8.6",),
    "IBuilderConfig.set_memory_pool_limit": _ALL,
    "IBuilderConfig.set_timing_cache": _NOT_RTX,
    "ICudaEngine.create_execution_context": _ALL,
    "ICudaEngine.create_runtime_config": _RTX,
    "ICudaEngine.get_tensor_dtype": _ALL,
    "ICudaEngine.get_tensor_mode": _ALL,
    "ICudaEngine.get_tensor_name": _ALL,
    "ICudaEngine.get_tensor_profile_shape": _ALL,
    "ICudaEngine.get_tensor_shape": _ALL,
    "ICudaEngine.num_io_tensors": _ALL,
    "IExecutionContext.execute_async_v3": _ALL,
    "IExecutionContext.get_tensor_shape": _ALL,
    "IExecutionContext.set_input_shape": _ALL,
    "IExecutionContext.set_tensor_address": _ALL,
    "ILogger": _ALL,
    "ILogger.Severity.ERROR": _ALL,
    "ILogger.Severity.INTERNAL_ERROR": _ALL,
    "ILogger.Severity.WARNING": _ALL,
    "INetworkDefinition.get_input": _ALL,
    "INetworkDefinition.num_inputs": _ALL,
    "IOptimizationProfile.set_shape": _ALL,
    "IProgressMonitor": _FROM_10,
    # RTX compiles its kernels when a network is first run, and keeps them here.
    "IRuntimeCache": _RTX,
    "IRuntimeCache.deserialize": _RTX,
    "IRuntimeCache.serialize": _RTX,
    "IRuntimeConfig.create_runtime_cache": _RTX,
    "IRuntimeConfig.cuda_graph_strategy": _RTX,
    "IRuntimeConfig.set_runtime_cache": _RTX,
    "ITensor.get_dimension_name": _ALL,
    "ITensor.name": _ALL,
    "ITensor.shape": _ALL,
    "ITimingCache.serialize": _NOT_RTX,
    "MemoryPoolType.WORKSPACE": _ALL,
    # Needed on 8.6, where it is the only flag; ignored from 10.0 on, gone from 11 and RTX.
    "NetworkDefinitionCreationFlag.EXPLICIT_BATCH": ("8.6",),
    "NetworkDefinitionCreationFlag.STRONGLY_TYPED": _FROM_10,
    "OnnxParser": _ALL,
    "OnnxParser.get_error": _ALL,
    "OnnxParser.num_errors": _ALL,
    "OnnxParser.parse_from_file": _ALL,
    "Runtime": _ALL,
    "Runtime.deserialize_cuda_engine": _ALL,
    "TensorIOMode.INPUT": _ALL,
    "__version__": _ALL,
}

# ``pycuda.driver``, 2022.2 and later.
PYCUDA: tuple[str, ...] = (
    "Context.detach",
    "Context.pop",
    "Context.push",
    "Device",
    "Device.compute_capability",
    "Device.count",
    "Device.get_attribute",
    "Device.name",
    "Device.retain_primary_context",
    "DeviceAllocation.free",
    "Error",
    "HostAllocation.free",
    "HostAllocation.get_device_pointer",
    "Stream",
    "Stream.handle",
    "Stream.synchronize",
    "device_attribute.INTEGRATED",
    "host_alloc_flags.DEVICEMAP",
    "init",
    "mem_alloc",
    "memcpy_dtoh_async",
    "memcpy_htod_async",
    "pagelocked_empty",
)

# ``libcuda.so.1``. pycuda has no stream capture; the driver has it in this form since CUDA 11.4.
DRIVER: tuple[str, ...] = (
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuStreamBeginCapture_v2",
    "cuStreamEndCapture",
)
