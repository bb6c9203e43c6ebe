"""Hostler: one YAML stack file makes a self-hosted LLM stack real."""

__version__ = "0.1.0"
