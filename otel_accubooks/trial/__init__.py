"""A test alert through the whole path, and its arrival at each channel."""
