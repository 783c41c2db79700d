"""A process of its own that tells phones and other systems what happens at the door."""
