"""Trying the doorbell on a bare machine with an NVIDIA GPU, offline: tools/gpu-trial."""
