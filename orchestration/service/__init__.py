"""The scheduling service without HTTP: calls, owners of agents, the store."""
