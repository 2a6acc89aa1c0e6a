"""What a user may do in each tier."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tier:
    scenarios: int  # kept at the same time
    forecasts: int  # asked for within 24 hours; failed ones are free
    months_ahead: int  # how far a forecast looks


TIERS = {"FREE": Tier(3, 2, 3), "STARTER": Tier(10, 10, 6), "PRO": Tier(100, 1000, 12)}

USED = {
    "scenarios": "SELECT count(*) AS used FROM scenarios WHERE tenant_id = %s AND user_id = %s",
    "forecasts": """SELECT count(*) AS used FROM forecasts WHERE tenant_id = %s AND user_id = %s
                    AND status <> 'failed' AND created_at > now() - interval '24 hours'""",
}


class UnknownUser(LookupError):
    """The session outlived its user."""


class LimitReached(Exception):
    def __init__(self, limit_type: str, tier: str, limit: int) -> None:
        super().__init__(f"{tier} allows {limit} {limit_type}")
        self.limit_type, self.tier, self.limit = limit_type, tier, limit


def is_upgrade(before: str, after: str) -> bool:
    order = list(TIERS)
    return order.index(after) > order.index(before)


def locked_tier(cursor: Any, tenant_id: int, user_id: int) -> str:
    """The user's tier, which nobody else can change or claim from until the transaction ends."""
    cursor.execute(
        "SELECT tier FROM users WHERE tenant_id = %s AND id = %s FOR UPDATE", (tenant_id, user_id)
    )
    user = cursor.fetchone()
    if user is None:
        raise UnknownUser(f"there is no user {user_id} any more")
    return str(user["tier"])


def claim(cursor: Any, limit_type: str, tenant_id: int, user_id: int) -> str:
    """The user's tier, if it leaves room for one more of "scenarios" or "forecasts".

    Raises LimitReached if it does not.
    """
    tier = locked_tier(cursor, tenant_id, user_id)
    limit = getattr(TIERS[tier], limit_type)
    cursor.execute(USED[limit_type], (tenant_id, user_id))
    if cursor.fetchone()["used"] >= limit:
        raise LimitReached(limit_type, tier, limit)
    return tier
