"""A week at the door in minutes, and the truth that it is compared with; see ``tools/soak.py``."""
