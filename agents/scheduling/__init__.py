"""Agents that order test cases, as a library: no Ray, no server, usable in a notebook."""
