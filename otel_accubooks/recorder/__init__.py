"""The hot path: counts in shared memory, and adding them up over the processes of a service."""
