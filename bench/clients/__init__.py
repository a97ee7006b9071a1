"""Other HTTP clients behind the gateway's seam (`modelyard.upstream.client`), for comparison with its own.

Modelyard depends on neither of their packages: they are installed into bench/.peers/clients (`bench.peers.clients`).
"""

import sys

from bench.processes import ROOT

FOLDER = ROOT / "bench" / ".peers" / "clients"
PACKAGES = FOLDER / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def on_path() -> None:
    """Make the installed packages importable. Last on the path: what Modelyard brings itself is not replaced."""
    if str(PACKAGES) not in sys.path:
        sys.path.append(str(PACKAGES))


on_path()
