"""Bad: it has a backoff of its own, and never reads Retry-After. Fails waits-out-retry-after."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import time
from typing import Any

from client import Client, main


class IgnoresRetryAfter(Client):
    def wait_before_retry(self, attempt: int, _response: Any) -> None:
        time.sleep(0.25 * 2**attempt)


main(IgnoresRetryAfter())
