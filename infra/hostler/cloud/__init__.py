"""Rented machines: what can be had, what was refused, what an account holds."""
