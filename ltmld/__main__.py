"""Run ltmld as ``python -m ltmld``."""

from __future__ import annotations

from ltmld.cli import main

if __name__ == "__main__":
    main()
