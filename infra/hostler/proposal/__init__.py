"""Models to begin with, as a first stack file."""
