"""Training of the tiny models that ship with the project."""
