"""What sessions of the server wait for, and by what they are told."""

from __future__ import annotations

# By which writers wait for each other: any number that no other program takes.
WRITERS_LOCK = 0x446F4265

# Who has it deletes old strangers and merges those who are one, for the house.
TIDYING_LOCK = WRITERS_LOCK + 1

# On which those are told who listen that templates have changed.
CHANNEL = "doorbell_templates"
