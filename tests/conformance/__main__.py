"""`python -m tests.conformance [--write docs/conformance.md] [--only NAME]`: run every cell, then write the page."""

import argparse
import sys
import tempfile
import traceback
from pathlib import Path

from tests.conformance.cases import CASES
from tests.conformance.lab import Lab, run_lab
from tests.conformance.matrix import ABSENT, PAIRS, Case, Pair, run
from tests.conformance.page import render


def main() -> int:
    """0 when every cell did what is declared; the page is not written otherwise."""
    parser = argparse.ArgumentParser(prog="tests.conformance", description="run the conformance matrix")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page")
    parser.add_argument("--only", metavar="NAME", help="only the case of this name (writes nothing)")
    parser.add_argument("--traces", action="store_true", help="show where a failed cell failed")
    options = parser.parse_args()
    cases = [case for case in CASES if options.only in (None, case.name)]
    cells = [(case, pair) for case in cases for pair in PAIRS if case.expected(pair) != ABSENT]
    with tempfile.TemporaryDirectory() as folder, run_lab(Path(folder)) as lab:
        failed = [fault for case, pair in cells if (fault := _fault(case, pair, lab, traces=options.traces))]
    for fault in failed:
        print(fault)
    print(f"{len(cells) - len(failed)} of {len(cells)} cells did what is declared")
    if failed:
        return 1
    if options.write is not None and options.only is None:
        options.write.write_text(render(), encoding="utf-8")
    return 0


def _fault(case: Case, pair: Pair, lab: Lab, *, traces: bool) -> str | None:
    try:
        run(case, pair, lab)
    except Exception as error:
        trace = "\n" + traceback.format_exc() if traces else ""
        return f"{case.name} {pair}: {type(error).__name__}: {str(error)[:600]}{trace}"
    return None


if __name__ == "__main__":
    sys.exit(main())
