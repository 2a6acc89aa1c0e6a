"""What holds for every test."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure: no test asserts a time, and neither does a property.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

INTEGRATION = Path(__file__).parent / "integration"
# One table is made of what all of the ones prove, and all of the others look at one deployment.
FOLDERS = (INTEGRATION / "models", INTEGRATION / "verify")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file, or folder, which share servers, run in one process and in their order."""
    for item in items:
        together = next((of for of in FOLDERS if of in item.path.parents), item.path)
        item.add_marker(pytest.mark.xdist_group(str(together)))
