"""Measure: `make bench`, or `.venv/bin/python benchmarks/run.py [NAME …]`."""

import sys
from pathlib import Path
from runpy import run_module

if __name__ == "__main__":
    # A script's folder comes first on the path; the packages lie one above it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    run_module("benchmarks", run_name="__main__")
