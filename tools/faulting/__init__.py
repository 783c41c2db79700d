"""Faults of a doorbell, a function each, and who judges what was told meanwhile."""
