"""Observability for Flask applications by OpenTelemetry, without a change of code."""
