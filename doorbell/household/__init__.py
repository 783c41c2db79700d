"""What people ask for, once: enroll, forget, correct, name, merge, export, and what is told of it.

The command line, home automation's commands and whatever comes later call the same functions, which
return frozen outcomes and print nothing.
"""
