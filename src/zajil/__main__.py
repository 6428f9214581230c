"""``python -m zajil`` is the command line."""

from __future__ import annotations

from zajil.cli.main import main

main()
