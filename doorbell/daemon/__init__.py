"""The process that watches the door."""
