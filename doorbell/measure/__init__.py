"""What the doorbell can do: how fast, how accurate, and the same on a GPU."""
