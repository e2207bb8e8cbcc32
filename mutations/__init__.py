"""What can go wrong with a deep-RL agent (operators), and what notices it (kill tests)."""
