"""A building of many doors: its residents, its machines, what happens to them, and who judges."""
