"""`archspec build`: a spec's model as source and weights."""

from __future__ import annotations

import argparse

from archspec.cli.common import load, say, spec_arguments, trust_arguments

HELP = "write a spec's model for a framework"


def arguments(parser: argparse.ArgumentParser) -> None:
    spec_arguments(parser)
    parser.add_argument("--backend", required=True, metavar="NAME", help="torch, or any that `archspec backends` lists")
    parser.add_argument("-o", "--output", metavar="DIR", help="the folder to write (default: build/SPEC-BACKEND)")
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--weights", metavar="FILE", help="a neutral checkpoint, or what `weights import` takes")
    weights.add_argument("--seed", type=int, default=0, metavar="N", help="of the initial weights (default: 0)")
    parser.add_argument(
        "--optimize", choices=("none", "inference"), default="none", help="inference: no train-only parts"
    )
    trust_arguments(parser)


def run(options: argparse.Namespace) -> int:
    from pathlib import Path

    from archspec.backend import load as load_backend
    from archspec.compiler import write

    backend = load_backend(options.backend)
    spec = load(options)
    folder = Path(options.output or Path("build") / f"{Path(options.spec).stem}-{backend.name}")
    weights = Path(options.weights) if options.weights else None
    write(
        spec,
        backend,
        folder,
        seed=options.seed,
        weights=weights,
        optimize=options.optimize,
        any_spec=options.any_spec,
        allow_nonfinite=options.allow_nonfinite,
        remark=lambda text: say(f"note: {text}", options),
    )
    for path in sorted(folder.iterdir()):
        say(f"{path.stat().st_size:>12,} bytes  {path.name}", options)
    print(folder / next(name for name in ("model.py", "model.onnx", "manifest.json") if (folder / name).exists()))
    return 0
