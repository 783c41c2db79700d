"""Chimes: which one, when, and on what device."""
