"""The API itself: from an ASGI call through the pipeline to a handler and back."""
