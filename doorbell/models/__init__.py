"""The models: where they come from, how they are built, and that they are what they should be."""
