"""Single lines of GPIO chips, and the push button on one."""
