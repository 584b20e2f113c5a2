"""Bad: it takes the first page of the list for all of it. Fails reads-every-page."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from collections.abc import Iterator

from client import Client, Json, main


class ReadsOnePage(Client):
    def list(self) -> Iterator[Json]:
        yield from self.call("GET", "/v1/jobs?limit=50")["jobs"]


main(ReadsOnePage())
