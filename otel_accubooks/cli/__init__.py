"""The `otel-accubooks` command."""
