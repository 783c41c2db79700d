"""The household's web pages: a process of its own that knows the daemon by its control socket only.

It opens no gallery, key or picture file, so that whoever breaks into it holds none.
"""
