"""Change data capture: what changes here goes on to Kafka, to a webhook or into a file, at least once."""
