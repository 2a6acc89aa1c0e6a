"""The last check before a row leaves the house: it belongs to the tenant who asked."""

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)


def own(row: Mapping[str, Any], tenant_id: int) -> bool:
    """True if the row is the tenant's; a foreign one is logged as an error."""
    if row["tenant_id"] != tenant_id:
        log.error("tenant %s was about to see row %s of %s", tenant_id, row["id"], row["tenant_id"])
        return False
    return True
