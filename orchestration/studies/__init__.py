"""What compares agents with each other: replays, searches for hyper-parameters, recording of histories."""
