"""`archspec verify`: check that a spec's models on several backends are one network."""

from __future__ import annotations

import argparse

from archspec.cli.common import add_spec_arguments, add_trust_argument, load_spec, print_note

HELP = "check a spec's models on every backend against the float64 reference"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_spec_arguments(parser)
    parser.add_argument(
        "--backends",
        metavar="A,B",
        help="as in torch,keras@jax,onnx (default: every backend that is installed)",
    )
    parser.add_argument(
        "--mode",
        default="eval,train,grad,step",
        metavar="A,B",
        help="some of eval,train,grad,step (default: all)",
    )
    parser.add_argument("--batch", type=int, default=2, metavar="N", help="samples (default: 2)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of weights and input (default: 0)"
    )
    parser.add_argument(
        "--weights", metavar="FILE", help="a portable checkpoint, in place of random weights"
    )
    parser.add_argument(
        "--against",
        metavar="FILE",
        help="run the model in a .keras, .onnx or .pt2 file, and name the first layer that differs",
    )
    add_trust_argument(parser, "a .pt2 file of --against, which is a program")
    parser.add_argument(
        "--precision", choices=("float32", "float64"), help="in place of the usual one of each mode"
    )
    parser.add_argument(
        "--repro",
        metavar="DIR",
        help="where a backend's difference is written (default: repro-SPEC)",
    )
    parser.add_argument(
        "--format", choices=("table", "json"), default="table", help="for people, or data"
    )


def execute(options: argparse.Namespace) -> int:
    from pathlib import Path

    from archspec.equivalence import verify

    modes = [mode.strip() for mode in options.mode.split(",")]
    spec = load_spec(options)
    # A file that is compared alone has no folder, which would not be asked for by the default.
    is_alone = options.against is not None and not options.backends
    repro = None if is_alone else f"repro-{Path(options.spec).stem}"
    report = verify(
        spec,
        [name.strip() for name in options.backends.split(",")] if options.backends else None,
        modes,
        batch=options.batch,
        seed=options.seed,
        weights=options.weights,
        precision=options.precision,
        repro=options.repro or repro,
        against=options.against,
        trust=options.trust,
    )
    print(report.json() if options.format == "json" else report.table())
    print_note(
        f"{'all the same' if report.passed else 'DIFFERENT'}, in {report.seconds:.1f} s", options
    )
    if report.repro is not None:
        print_note(f"to reproduce it: {report.repro}", options)
    return int(not report.passed)
