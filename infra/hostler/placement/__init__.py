"""Replicas onto cards."""
