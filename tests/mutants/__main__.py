"""`python -m tests.mutants [NAME ...]`: exit 1 for a survivor, 2 for an entry that does not fit."""

from __future__ import annotations

import argparse
import sys
import time

from tests.mutants.catalogue import MutantError, read_mutants
from tests.mutants.run import ROOT, Outcome, check_baseline, run_mutants

SURVIVED, DOES_NOT_FIT = 1, 2
SHOWN = 15
"""Lines of pytest's output that are shown of a mutant that was not killed."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="part of `room: name`; all mutants without one")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="mutants at a time")
    parser.add_argument("--list", action="store_true", help="name the mutants, and run none")
    parser.add_argument(
        "--no-baseline", action="store_true", help="trust that the tests pass on the code as it is"
    )
    options = parser.parse_args()
    try:
        mutants = read_mutants(names=options.names)
        for mutant in mutants:
            mutant.mutated(ROOT)
        if options.list:
            print(*mutants, sep="\n")
            return 0
        if not options.no_baseline and (output := check_baseline(mutants)):
            print(output, "the tests fail without any mutant", sep="\n")
            return SURVIVED
        outcomes = run_mutants(mutants, options.jobs, on_outcome=_report)
    except MutantError as error:
        print(error, file=sys.stderr)
        return DOES_NOT_FIT
    alive = [outcome for outcome in outcomes if outcome.verdict != "killed"]
    for outcome in alive:
        print(f"\n{outcome.verdict}: {outcome.mutant}\n  {outcome.mutant.why}")
        print(*outcome.output.splitlines()[-SHOWN:], sep="\n")
    print(f"\n{len(outcomes) - len(alive)} of {len(outcomes)} mutants killed")
    return SURVIVED if alive or not outcomes else 0


def _report(outcome: Outcome) -> None:
    print(f"{time.strftime('%H:%M:%S')} {outcome.verdict:8} {outcome.mutant}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
