"""One module for each backend: the contract goes in, the backend's own files come out."""
