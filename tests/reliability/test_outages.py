"""Everything that carries the numbers is broken, several at a time; then the totals are right."""

from __future__ import annotations

import random
from pathlib import Path

from tests.reliability.outages import OUTAGES, Watch, happen
from tests.reliability.outages_plant import Plant


def test_outages_that_overlap_in_any_order(tmp_path: Path) -> None:
    """Prometheus has every request once, Datadog all but an interval for each kill of the gateway."""
    seed = random.randrange(10**6)
    print(f"the order is that of the seed {seed}")
    order = random.Random(seed)
    broken = order.sample(OUTAGES, 4)
    with Plant(tmp_path) as plant:
        watch = Watch(plant)
        for some in (broken[:2], broken[2:]):
            seen = watch.see(", ".join(outage.name for outage in some), happen(some, 1.0, order))
            assert seen.wrong() == []
