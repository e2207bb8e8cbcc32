"""What the process runs on: Ray, Ray Serve, logs, progress bars, artifact storage, the MLflow client."""
