"""The example's settings, and what it says about wrong ones."""

import pytest
from accubooks import settings

GIVEN = {
    "DATABASE_URL": "postgresql://localhost/x",
    "REDIS_URL": "redis://localhost:6379/0",
    "SECRET_KEY": "s",
}


def test_three_settings_are_enough():
    """The rest has defaults."""
    given = settings.load(GIVEN)
    assert (given.pool_min, given.pool_max, given.cache_seconds) == (1, 10, 60)


@pytest.mark.parametrize("name", GIVEN)
def test_a_missing_setting_is_named(name):
    """The program ends with the name of what is missing."""
    with pytest.raises(SystemExit, match=f"{name} is not set"):
        settings.load({key: value for key, value in GIVEN.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATABASE_POOL_MAX", "ten", "DATABASE_POOL_MAX is 'ten': it must be a whole number"),
        ("CACHE_SECONDS", "0", "CACHE_SECONDS is '0'"),
        ("DATABASE_POOL_MIN", "11", "DATABASE_POOL_MIN is above DATABASE_POOL_MAX"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(name, value, message):
    """The message says what was found and what was expected."""
    with pytest.raises(SystemExit, match=message):
        settings.load({**GIVEN, name: value})
