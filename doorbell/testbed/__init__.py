"""A broker, a subscriber, a camera, a sound card and more around a daemon, as real processes.

The benchmark, the demonstration, the tools of the checkout and the tests share them. Of the daemon
they know how it is started, what it logs and what it publishes.
"""
