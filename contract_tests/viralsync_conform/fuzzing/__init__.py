"""Generated requests: everything about Schemathesis."""
