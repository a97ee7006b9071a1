"""Puts the built web interface into wheels. `make install` builds it for a checkout; a wheel that is made without that step
builds it here, with Node.js 20.19 or newer."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = "src/modelyard/api/static/interface"


class Interface(BuildHookInterface[Any]):
    """See above. An editable install is a checkout's, so nothing is built for it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        root = Path(self.root)
        if not (root / BUILT / "index.html").is_file():
            self._build(root / "ui")
        build_data["artifacts"].append(f"/{BUILT}/**")

    def _build(self, folder: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit(
                "The web interface is not built, and there is no npm to build it. Install Node.js 20.19 or newer, "
                "or run `make install` in the checkout first."
            )
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=folder, check=True)
        subprocess.run([npm, "run", "build"], cwd=folder, check=True)
