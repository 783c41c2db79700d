"""Machines that the doorbell is tried on as it is installed: clean systems, and their start."""
