"""Fixtures of the monitoring tests: a cast of people."""

from registry.tests.people import people

__all__ = ["people"]
