"""Values that fit a schema, drawn from a seed."""
