"""What the process stands on: Ray, Ray Serve, logs, progress bars, artifact storage, the MLflow client."""
