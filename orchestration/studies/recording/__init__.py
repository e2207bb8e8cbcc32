"""Runs of any test command, recorded as the cycles of a history."""
