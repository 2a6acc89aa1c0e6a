"""Whether the clocks of this host, the gateway and the backend agree."""

from __future__ import annotations

from collections.abc import Iterator

from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.scene import Scene

APART = Kind(
    "clocks-apart", "wrong",
    "Two clocks disagree: points are refused as too old or too new, or alerts look at nothing.",
    "clocks within 5 s of each other",
    "let NTP (chrony, systemd-timesyncd) set the clock of the host that is wrong",
)  # fmt: skip

LARGEST_SECONDS = 5.0


def check(scene: Scene) -> Iterator[Finding]:
    """Every server that told the time while it was asked for something else."""
    for clock in scene.clocks:
        if abs(clock.apart) > LARGEST_SECONDS:
            how = "ahead of" if clock.apart > 0 else "behind"
            yield APART.found(
                f"{clock.server} is {abs(clock.apart):.0f} s {how} this host", address=clock.server
            )
