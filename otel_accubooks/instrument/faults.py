"""What a hook may catch of its own doing."""

from __future__ import annotations

# What wrong code or unexpected data raises. Not `Exception`: the time limits of RQ and Celery are
# exceptions that a signal raises anywhere, also inside a hook, and those are the application's.
FAULTS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
