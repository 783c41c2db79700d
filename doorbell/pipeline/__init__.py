"""One frame in, events out."""
