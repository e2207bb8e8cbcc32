"""Records runs of any test command as the cycles of a history."""
