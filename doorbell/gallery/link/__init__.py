"""A gallery on a server, of which each machine has a copy to decide by.

The main thread knows the copy alone, an SQLite file like any gallery's. What it writes waits there
in an outbox. A thread brings it to the server in order, and brings back what others have changed:
so a server that is away, or hangs, keeps no visitor waiting.
"""
