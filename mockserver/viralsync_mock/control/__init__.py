"""The control API under `/__mock`, one module a resource."""
