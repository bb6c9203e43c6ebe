"""Fixtures of the lab for every room of the tests."""

pytest_plugins = ["lab.plugin"]
