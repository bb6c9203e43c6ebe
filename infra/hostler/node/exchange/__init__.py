"""The only way a container changes, and ends."""
