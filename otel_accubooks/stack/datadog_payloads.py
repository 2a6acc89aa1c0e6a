"""Datadog's metric payloads as protobuf messages, built at run time from a table of ours.

Source of the names, numbers and types: proto/metrics/agent_payload.proto of the Go module
github.com/DataDog/agent-payload/v5, which the collector's exporter is compiled with. A test
compares every line below with the descriptor that Datadog publishes in that module.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

SOURCE_MODULE = "github.com/DataDog/agent-payload/v5"
PACKAGE = "datadog.agentpayload"


class Field(NamedTuple):
    """One field. `type` is a scalar's protobuf name, or ".<message or enum of MESSAGES, ENUMS>"."""

    name: str
    number: int
    type: str
    repeated: bool = False


# A dot in a name says that the message is declared inside another.
MESSAGES: dict[str, tuple[Field, ...]] = {
    "CommonMetadata": (
        Field("agent_version", 1, "string"),
        Field("timezone", 2, "string"),
        Field("current_epoch", 3, "double"),
        Field("internal_ip", 4, "string"),
        Field("public_ip", 5, "string"),
        Field("api_key", 6, "string"),
    ),
    "Origin": (
        Field("origin_product", 4, "uint32"),
        Field("origin_category", 5, "uint32"),
        Field("origin_service", 6, "uint32"),
    ),
    "Metadata": (Field("origin", 1, ".Origin"),),
    "MetricPayload": (Field("series", 1, ".MetricPayload.MetricSeries", repeated=True),),
    "MetricPayload.MetricPoint": (
        Field("value", 1, "double"),
        Field("timestamp", 2, "int64"),  # seconds
    ),
    "MetricPayload.Resource": (
        Field("type", 1, "string"),
        Field("name", 2, "string"),
    ),
    "MetricPayload.MetricSeries": (
        Field("resources", 1, ".MetricPayload.Resource", repeated=True),
        Field("metric", 2, "string"),
        Field("tags", 3, "string", repeated=True),
        Field("points", 4, ".MetricPayload.MetricPoint", repeated=True),
        Field("type", 5, ".MetricPayload.MetricType"),
        Field("unit", 6, "string"),
        Field("source_type_name", 7, "string"),
        Field("interval", 8, "int64"),  # seconds
        Field("metadata", 9, ".Metadata"),
    ),
    "SketchPayload": (
        Field("sketches", 1, ".SketchPayload.Sketch", repeated=True),
        Field("metadata", 2, ".CommonMetadata"),
    ),
    "SketchPayload.Sketch": (
        Field("metric", 1, "string"),
        Field("host", 2, "string"),
        Field("distributions", 3, ".SketchPayload.Sketch.Distribution", repeated=True),
        Field("tags", 4, "string", repeated=True),
        Field("dogsketches", 7, ".SketchPayload.Sketch.Dogsketch", repeated=True),
        Field("metadata", 8, ".Metadata"),
    ),
    "SketchPayload.Sketch.Distribution": (
        Field("ts", 1, "int64"),
        Field("cnt", 2, "int64"),
        Field("min", 3, "double"),
        Field("max", 4, "double"),
        Field("avg", 5, "double"),
        Field("sum", 6, "double"),
        Field("v", 7, "double", repeated=True),
        Field("g", 8, "uint32", repeated=True),
        Field("delta", 9, "uint32", repeated=True),
        Field("buf", 10, "double", repeated=True),
    ),
    "SketchPayload.Sketch.Dogsketch": (
        Field("ts", 1, "int64"),  # seconds
        Field("cnt", 2, "int64"),
        Field("min", 3, "double"),
        Field("max", 4, "double"),
        Field("avg", 5, "double"),
        Field("sum", 6, "double"),
        Field("k", 7, "sint32", repeated=True),  # keys of the bins, on a logarithmic scale
        Field("n", 8, "uint32", repeated=True),  # what is in each of them
    ),
}

ENUMS: dict[str, tuple[tuple[str, int], ...]] = {
    "MetricPayload.MetricType": (("UNSPECIFIED", 0), ("COUNT", 1), ("RATE", 2), ("GAUGE", 3)),
}


Table = Mapping[str, tuple[Field, ...]]


@functools.cache
def message_class(name: str) -> type[Any]:
    """The protobuf class of a message of the table, such as "MetricPayload". Raises KeyError."""
    return message_classes(file_descriptor())[f"{PACKAGE}.{name}"]


def message_classes(file: Any) -> dict[str, type[Any]]:
    """The protobuf classes of a FileDescriptorProto, by their full names."""
    from google.protobuf import descriptor_pool, message_factory

    # A pool of our own: Datadog's definitions may also be linked into this process by others.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return dict(message_factory.GetMessageClassesForFiles([file.name], pool))


def file_descriptor(table: Table = MESSAGES, package: str = PACKAGE) -> Any:
    """The table as a FileDescriptorProto, with those of ENUMS that belong to its messages."""
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    messages: dict[str, Any] = {}
    for name, fields in table.items():
        parent, _, own = name.rpartition(".")
        message = messages[parent].nested_type.add() if parent else file.message_type.add()
        message.name = own
        messages[name] = message
        for entry in fields:
            _add_field(message, entry, package)
    for name, values in ENUMS.items():
        parent, _, own = name.rpartition(".")
        if parent in messages:
            enum = messages[parent].enum_type.add(name=own)
            for label, number in values:
                enum.value.add(name=label, number=number)
    return file


def _add_field(message: Any, entry: Field, package: str) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Proto

    field = message.field.add(name=entry.name, number=entry.number)
    field.label = Proto.LABEL_REPEATED if entry.repeated else Proto.LABEL_OPTIONAL
    if not entry.type.startswith("."):
        field.type = Proto.Type.Value(f"TYPE_{entry.type.upper()}")
        return
    field.type = Proto.TYPE_ENUM if entry.type[1:] in ENUMS else Proto.TYPE_MESSAGE
    field.type_name = f".{package}{entry.type}"
