"""Parameterised environments and the boundary search: the package that all others build on."""
