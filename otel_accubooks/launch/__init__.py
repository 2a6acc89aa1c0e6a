"""How `opentelemetry-instrument` starts us: entry points, settings, and the life of the process."""
