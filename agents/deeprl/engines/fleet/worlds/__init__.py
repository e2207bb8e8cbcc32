"""Compiled worlds: environments that are stepped inside the compiled program, one file each."""
