"""Packages that are newer, and hosts aside for them."""
