"""Tracks and decisions to visits."""
