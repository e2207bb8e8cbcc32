"""Deep-RL agents under test: the recipe that says how an agent is trained, and the engines that do it."""
