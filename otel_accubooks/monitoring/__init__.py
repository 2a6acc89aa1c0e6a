"""The monitoring endpoints: a WSGI layer in front of the application, never in it."""
