"""Parameterised environments and the boundary search: the floor that every other package stands on."""
