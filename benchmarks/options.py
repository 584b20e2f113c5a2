"""What the command line chose, as seen by a measurement."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`quick` trades precision for time: to see that everything works, not to publish."""

    quick: bool = False

    def say(self, text: str) -> None:
        """Tell a waiting person what is going on."""
        print(f"  {text}", file=sys.stderr, flush=True)
