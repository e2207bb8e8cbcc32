"""One file per kill test; the table is `mutations.killing.registry`."""
