"""Fuzz by hand, for as long as you like: `./test fuzz [TARGET] [--seconds N] [--seed N]`.

Each find is printed with its seed, made as small as it goes, and kept in `tests/fuzz/cases`.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.fuzz import fuzz
from kit.fuzz_reach import report
from kit.fuzz_targets import all_targets

HERE = Path(__file__).parent


def main() -> int:
    """Go round the targets until the time is over; give 1 if there was a find."""
    targets = {target.name: target for target in all_targets()}
    parser = argparse.ArgumentParser(prog="./test fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", choices=sorted(targets), help="default: all of them")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, help="default: another each time; it is printed")
    parser.add_argument("--reached", action="store_true", help="tell which lines are not reached")
    parser.add_argument("--runs", type=int, default=400, help="with --reached, for each target")
    arguments = parser.parse_args()
    if arguments.reached:
        chosen = [targets[arguments.target]] if arguments.target else targets.values()
        print(report(chosen, arguments.runs))
        return 0
    found = False
    for name in [arguments.target] if arguments.target else list(targets):
        seed = arguments.seed if arguments.seed is not None else secrets.randbelow(1 << 32)
        print(f"{name}: seed {seed}, {arguments.seconds:g} seconds", flush=True)
        find = fuzz(targets[name], seed, seconds=arguments.seconds)
        if find is not None:
            found = True
            path = find.save(HERE / "cases")
            print(f"{name}: seed {seed}: {find.data!r} raises {find.error!r}; kept in {path}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
