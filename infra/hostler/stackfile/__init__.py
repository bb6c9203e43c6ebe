"""The stack file: its types (sections), and how a file becomes them (load)."""
