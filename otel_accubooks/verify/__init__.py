"""The checks that a deployment must pass before it is let to its users, each by looking."""
