"""What Datadog's dashboards are made of, as strictly as it should be taken (see payloads.py)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import NotRequired, TypedDict

_strict = with_config(ConfigDict(extra="forbid", strict=True))

Text = Annotated[str, Field(min_length=1)]
Palette = Literal["white_on_green", "white_on_yellow", "white_on_red"]


@_strict
class Query(TypedDict):
    """`aggregator` makes one number of the span; it stands where the answer is a number."""

    data_source: Literal["metrics"]
    name: Annotated[str, Field(pattern=r"^[a-z]$")]
    query: Text
    aggregator: NotRequired[Literal["last", "sum", "max", "avg", "percentile"]]


@_strict
class Format(TypedDict):
    comparator: Literal[">", ">=", "<", "<="]
    value: float
    palette: Palette


@_strict
class CanonicalUnit(TypedDict):
    type: Literal["canonical_unit"]
    unit_name: Literal["percent", "millisecond", "second", "byte"]
    per_unit_name: NotRequired[Literal["second"]]


@_strict
class CustomUnit(TypedDict):
    type: Literal["custom_unit_label"]
    label: Annotated[str, Field(min_length=1, max_length=12)]


@_strict
class NumberFormat(TypedDict):
    unit: Annotated[CanonicalUnit | CustomUnit, Field(discriminator="type")]


@_strict
class Formula(TypedDict):
    formula: Text
    alias: NotRequired[Text]
    number_format: NotRequired[NumberFormat]
    conditional_formats: NotRequired[list[Format]]


@_strict
class Lines(TypedDict):
    response_format: Literal["timeseries"]
    queries: Annotated[list[Query], Field(min_length=1)]
    formulas: Annotated[list[Formula], Field(min_length=1)]
    display_type: Literal["line", "bars"]


@_strict
class Number(TypedDict):
    response_format: Literal["scalar"]
    queries: Annotated[list[Query], Field(min_length=1)]
    formulas: Annotated[list[Formula], Field(min_length=1)]


@_strict
class Marker(TypedDict):
    value: Annotated[str, Field(pattern=r"^y = -?[0-9.]+$")]
    display_type: Literal["warning dashed", "error dashed"]


@_strict
class Axis(TypedDict):
    include_zero: NotRequired[bool]
    min: NotRequired[str]
    max: NotRequired[str]


@_strict
class Span(TypedDict):
    live_span: Literal["1h", "4h", "1d", "2d", "1w"]


@_strict
class Timeseries(TypedDict):
    type: Literal["timeseries"]
    title: Text
    requests: Annotated[list[Lines], Field(min_length=1)]
    markers: list[Marker]
    yaxis: Axis
    show_legend: bool
    time: NotRequired[Span]


@_strict
class Background(TypedDict):
    type: Literal["area"]
    yaxis: Axis


@_strict
class QueryValue(TypedDict):
    type: Literal["query_value"]
    title: Text
    requests: Annotated[list[Number], Field(min_length=1, max_length=1)]
    autoscale: bool
    precision: Annotated[int, Field(ge=0)]
    timeseries_background: NotRequired[Background]
    time: NotRequired[Span]


@_strict
class Order(TypedDict):
    type: Literal["formula"]
    index: Annotated[int, Field(ge=0)]
    order: Literal["asc", "desc"]


@_strict
class Sort(TypedDict):
    count: Annotated[int, Field(ge=1)]
    order_by: list[Order]


@_strict
class SortedNumber(Number):
    sort: Sort


@_strict
class Toplist(TypedDict):
    type: Literal["toplist"]
    title: Text
    requests: Annotated[list[SortedNumber], Field(min_length=1, max_length=1)]
    time: NotRequired[Span]


@_strict
class Legend(TypedDict):
    type: Literal["automatic"]


@_strict
class Sunburst(TypedDict):
    type: Literal["sunburst"]
    title: Text
    requests: Annotated[list[Number], Field(min_length=1)]
    legend: Legend
    time: NotRequired[Span]


@_strict
class ManageStatus(TypedDict):
    type: Literal["manage_status"]
    title: Text
    query: Text
    display_format: Literal["counts", "countsAndList", "list"]
    summary_type: Literal["monitors", "groups", "combined"]
    color_preference: Literal["background", "text"]
    sort: Literal["status,asc", "triggered,desc"]
    hide_zero_counts: bool
    show_last_triggered: bool


@_strict
class Column(TypedDict):
    field: Text
    width: Literal["auto", "compact", "full"]


@_strict
class EventQuery(TypedDict):
    data_source: Literal["event_stream"]
    query_string: Text
    event_size: Literal["s", "l"]


@_strict
class Events(TypedDict):
    response_format: Literal["event_list"]
    columns: Annotated[list[Column], Field(min_length=1)]
    query: EventQuery


@_strict
class EventList(TypedDict):
    type: Literal["list_stream"]
    title: Text
    requests: Annotated[list[Events], Field(min_length=1, max_length=1)]
    time: NotRequired[Span]


Definition = Timeseries | QueryValue | Toplist | Sunburst | ManageStatus | EventList


@_strict
class Widget(TypedDict):
    definition: Annotated[Definition, Field(discriminator="type")]


@_strict
class Group(TypedDict):
    type: Literal["group"]
    title: Text
    layout_type: Literal["ordered"]
    widgets: Annotated[list[Widget], Field(min_length=1)]


@_strict
class Section(TypedDict):
    definition: Group


@_strict
class Variable(TypedDict):
    name: Text
    prefix: Text
    defaults: Annotated[list[Text], Field(min_length=1)]


@_strict
class Timeframe(TypedDict):
    type: Literal["live"]
    value: Annotated[int, Field(ge=1)]
    unit: Literal["minute", "hour", "day", "week"]


@_strict
class Dashboard(TypedDict):
    """With `reflow_type` auto, Datadog places the widgets."""

    title: Text
    description: Text
    layout_type: Literal["ordered"]
    reflow_type: Literal["auto"]
    default_timeframe: Timeframe
    template_variables: list[Variable]
    tags: Annotated[list[Annotated[str, Field(pattern=r"^team:[a-z-]+$")]], Field(max_length=5)]
    notify_list: list[str]
    widgets: Annotated[list[Section], Field(min_length=1)]
