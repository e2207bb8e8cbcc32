"""One file per mutation operator; the table is `mutations.registry`."""
