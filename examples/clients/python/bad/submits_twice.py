"""Bad: it submits again when the response is lost, though the job may exist. Fails does-not-submit-twice."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import time

from client import Client, main


class SubmitsTwice(Client):
    def after_lost(self, _title: str) -> None:
        time.sleep(1)


main(SubmitsTwice())
