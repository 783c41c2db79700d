"""How fast it is, on this machine, beside something else measured in the same run."""
