"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no failure: no test asserts a time, and neither does a property.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
