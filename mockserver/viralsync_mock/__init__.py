"""A mock of the ViralSync API: jobs as timelines on a virtual clock, one sandbox per API key.

The public names are those of `__all__`, and `viralsync_mock.client`, `viralsync_mock.testing`; all others may change
without notice. Each is imported when it is first used, so `import viralsync_mock` itself costs nothing.
"""

TYPE_CHECKING = False  # type checkers know this name; `typing` itself would be loaded at once

if TYPE_CHECKING:
    from viralsync_mock.app import create_app
    from viralsync_mock.client import Sandbox
    from viralsync_mock.server import BackgroundServer
    from viralsync_mock.settings import Settings
    from viralsync_mock.standalone import open_sandbox
    from viralsync_mock.testing import WebhookReceiver
    from viralsync_mock.webhooks.signature import verify_signature

    __version__: str

__all__ = [
    "BackgroundServer",
    "Sandbox",
    "Settings",
    "WebhookReceiver",
    "__version__",
    "create_app",
    "open_sandbox",
    "verify_signature",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    homes = {
        "BackgroundServer": "server",
        "Sandbox": "client",
        "Settings": "settings",
        "WebhookReceiver": "testing",
        "create_app": "app",
        "open_sandbox": "standalone",
        "verify_signature": "webhooks.signature",
    }
    if name == "__version__":
        return import_module("importlib.metadata").version("viralsync-mock")
    if name in homes:
        return getattr(import_module(f"viralsync_mock.{homes[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
