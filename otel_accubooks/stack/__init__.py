"""Finds, starts, watches and stops the real servers of demo, tests and `verify`."""
