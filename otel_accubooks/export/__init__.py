"""The one exporter of a host: election, collection, and sending by OTLP."""
