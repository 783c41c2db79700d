"""The daemon's control socket: one schema of requests and replies, events, and frames in memory."""
