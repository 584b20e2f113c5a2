"""Bad: it tries again at once while the service is down. Fails backs-off-after-5xx."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import time
from typing import Any

from client import Client, main


class Hammers(Client):
    attempts = 500

    def wait_before_retry(self, _attempt: int, response: Any) -> None:
        if response is not None and response.status == 429:
            time.sleep(float(response.headers["retry-after"]))


main(Hammers())
