"""Answers what is asked over the control socket, beside the main thread and never instead of it.

A thread for each connection reads and answers. What changes the bell or tells home automation of it
is a command for the main thread; what only reads or changes the gallery is done by one thread with
a connection of its own, as the command line does it in another process. Events and frames are
handed out where somebody has asked for them, and whoever does not take them is let go.
"""
