"""A deployment as it should be is seen so; broken in any way, it is not, and the fix is named.

A package, so that all of its files share one deployment, and in one process: tests/conftest.py.
"""
