"""A smart doorbell: a frame enters at the camera and leaves as an event."""
