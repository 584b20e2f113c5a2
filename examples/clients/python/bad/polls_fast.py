"""Bad: it polls five times a second. Fails polls-no-faster-than."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from client import Client, main


class PollsFast(Client):
    poll_seconds = 0.2


main(PollsFast())
