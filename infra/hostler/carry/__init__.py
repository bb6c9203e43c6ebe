"""Weights that the operator's machine gives to hosts."""
