"""The spec: reading it, its operations, routes and `x-` extensions."""
