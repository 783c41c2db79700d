"""Whether a GPU computes what it should, and how fast, as a report that can be passed on."""
