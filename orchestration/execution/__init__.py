"""What runs work anywhere: work keys, tasks, executors, results, checkpoints, progress of blocks."""
