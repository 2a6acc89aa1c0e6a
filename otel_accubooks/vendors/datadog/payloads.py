"""What Datadog's API is given, as strictly as it should be taken.

Of each object the keys that are used here, and no other: mypy keeps the code to them, and `refuse_nonsense`
every payload when it is made. Names and values are those of https://docs.datadoghq.com/api/latest/:
v1 monitors, v1 dashboards, v1 synthetics, v2 metrics (tag configuration).
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import NotRequired, TypedDict

_strict = with_config(ConfigDict(extra="forbid", strict=True))

Text = Annotated[str, Field(min_length=1)]
Tag = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_:./-]{0,199}$")]
TagKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_./-]{0,199}$")]
# Datadog remembers a group for 1 to 72 hours.
Retention = Annotated[str, Field(pattern=r"^([1-9]|[1-6]\d|7[0-2])h$|^[1-3]d$")]
Minutes = Annotated[int, Field(ge=10, le=1440)]
Priority = Annotated[int, Field(ge=1, le=5)]


@_strict
class Thresholds(TypedDict):
    critical: float


@_strict
class MetricMonitorOptions(TypedDict):
    """`new_group_delay` in seconds, `evaluation_delay` too, `renotify_interval` in minutes."""

    thresholds: Thresholds
    require_full_window: bool
    on_missing_data: Literal["show_and_notify_no_data", "resolve"]
    group_retention_duration: NotRequired[Retention]
    new_group_delay: Annotated[int, Field(ge=0)]
    evaluation_delay: Annotated[int, Field(ge=0)]
    include_tags: bool
    notify_audit: bool
    renotify_interval: Minutes | None
    renotify_statuses: NotRequired[list[Literal["alert", "no data"]]]


@_strict
class CompositeOptions(TypedDict):
    notify_no_data: bool
    include_tags: bool
    notify_audit: bool
    renotify_interval: Minutes
    renotify_statuses: list[Literal["alert", "no data"]]


@_strict
class MetricMonitor(TypedDict):
    name: Text
    type: Literal["query alert"]
    query: Text
    message: Text
    tags: list[Tag]
    priority: Priority | None
    options: MetricMonitorOptions


@_strict
class CompositeMonitor(TypedDict):
    """Its query names other monitors, in braces, for which `apply` puts their numbers."""

    name: Text
    type: Literal["composite"]
    query: Annotated[str, Field(pattern=r"^[!({][A-Za-z0-9_.{}()!&| ]+$")]
    message: Text
    tags: list[Tag]
    priority: Priority
    options: CompositeOptions


Monitor = Annotated[MetricMonitor | CompositeMonitor, Field(discriminator="type")]


@_strict
class TagAttributes(TypedDict):
    metric_type: Literal["distribution"]
    include_percentiles: bool
    tags: list[TagKey]


@_strict
class TagData(TypedDict):
    type: Literal["manage_tags"]
    id: Text
    attributes: TagAttributes


@_strict
class TagConfiguration(TypedDict):
    data: TagData


@_strict
class Assertion(TypedDict):
    type: Literal["statusCode"]
    operator: Literal["is"]
    target: Annotated[int, Field(ge=100, le=599)]


@_strict
class Request(TypedDict):
    """`timeout` in seconds."""

    method: Literal["GET"]
    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+/\S*$")]
    timeout: Annotated[float, Field(gt=0, le=60)]


@_strict
class CheckConfig(TypedDict):
    request: Request
    assertions: Annotated[list[Assertion], Field(min_length=1)]


@_strict
class CheckMonitorOptions(TypedDict):
    renotify_interval: Minutes


@_strict
class CheckOptions(TypedDict):
    """`tick_every` and `min_failure_duration` in seconds."""

    tick_every: Annotated[int, Field(ge=30, le=604800)]
    min_failure_duration: Annotated[int, Field(ge=0, le=7200)]
    min_location_failed: Annotated[int, Field(ge=1)]
    follow_redirects: bool
    monitor_name: Text
    monitor_priority: Priority
    monitor_options: CheckMonitorOptions


@_strict
class Check(TypedDict):
    """A Synthetics test; Datadog makes its monitor."""

    name: Text
    type: Literal["api"]
    subtype: Literal["http"]
    status: Literal["live"]
    config: CheckConfig
    locations: Annotated[list[Text], Field(min_length=1)]
    message: Text
    tags: list[Tag]
    options: CheckOptions


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def refuse_nonsense(kind: Any, payload: Any, name: str) -> None:
    """Raises ValueError, in one line, where `payload` is not exactly of `kind`; `name` is in it."""
    try:
        _adapter(kind).validate_python(payload)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}, not {one['input']!r}"
            for one in error.errors()
        )
        raise ValueError(f"{name}: {found}") from error
