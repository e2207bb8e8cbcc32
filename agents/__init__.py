"""Who learns: deep-RL agents under test (`deeprl`) and agents that order test cases (`scheduling`)."""
