"""A stand-in for a GPU: TensorRT, pycuda and the CUDA driver, with the names of the tables only."""

from fake_cuda import FakeDriver, FakeHardware, cuda_module
from fake_tensorrt import tensorrt_module

from doorbell.inference.tensorrt.device import Device


class FakeGpu(FakeHardware):
    """One pretended GPU with everything that opens it."""

    def open(self) -> Device:
        return Device(tensorrt_module(self), cuda_module(self), FakeDriver(self))
