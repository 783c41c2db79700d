"""The simulated camera: scripted visitors before a background."""
