"""One file an engine: arguments, health, signals."""
