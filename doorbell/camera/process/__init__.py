"""Cameras that are opened and read by a process each, so that none can end or hold the daemon.

A decoder or driver that crashes ends its own process; one that hangs is killed with it. The daemon
asks a starter (``starter``) for a process (``reader``), which leaves frames in shared memory and
says so over a socket; ``camera`` is the daemon's end of both.
"""
