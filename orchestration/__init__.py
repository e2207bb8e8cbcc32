"""The engine room: specs, work items, Ray, stores, tracking, pipelines, reports and the command line."""
