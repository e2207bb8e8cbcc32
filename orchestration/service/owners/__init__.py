"""Who owns the state of scheduling agents: one owner per agent, found or woken by name."""
