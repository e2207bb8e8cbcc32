"""What the calls take and answer, as JSON. The service's own messages have no HTTP in them; these have."""
