"""An independent server of the ViralSync API, in real time, honest or with deliberate regressions.

`ForeignServer(Settings(variant="B", breaches=frozenset({"retry-after-missing"})))` serves on a loopback address for
as long as a `with` block lasts. `VARIANTS` are four sets of readings of what the documentation leaves open,
`CATALOGUE` holds every regression by name, `ACCOUNTS` every key, `FACTS` the documented sentences. A scene fails when
one of its layers names an asset whose host ends in `.invalid`, which no name server knows.
"""

from .accounts import ACCOUNTS, PROJECTS, Start
from .catalogue import CATALOGUE
from .conduct import Breach
from .facts import FACTS, NOTES
from .readings import VARIANTS, Readings
from .server import ForeignServer, RunningServer
from .settings import Settings

__all__ = [
    "ACCOUNTS",
    "CATALOGUE",
    "FACTS",
    "NOTES",
    "PROJECTS",
    "VARIANTS",
    "Breach",
    "ForeignServer",
    "Readings",
    "RunningServer",
    "Settings",
    "Start",
]
