"""Sessions and trainers on the engine that KERAS_BACKEND chooses, if it can differentiate."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from archspec.backend import Engine
from archspec.backend.session import Precision, Session
from archspec.backend.trainer import Trainer, TrainerConfig
from archspec.diagnostics import UsageError
from archspec.ir.graph import Graph

ENGINES = {name: Engine(name, {"KERAS_BACKEND": name}) for name in ("tensorflow", "jax", "torch")}


def open_session(folder: Path, graph: Graph, precision: Precision) -> Session:
    """Open a session; raise `Failure` for an engine that cannot differentiate."""
    check_engine()
    from archspec_keras.session import KerasSession

    return KerasSession(folder, graph, precision)


def open_trainer(folder: Path, config: TrainerConfig) -> Trainer:
    """Open a trainer; raise `Failure` for an engine that cannot differentiate."""
    check_engine()
    from archspec_keras.trainer import KerasTrainer

    return KerasTrainer(folder, config)


def check_engine() -> None:
    """Raise `Failure` if KERAS_BACKEND names an unknown engine, or one without derivatives."""
    help = f"KERAS_BACKEND takes {', '.join(ENGINES)}"
    try:
        keras: Any = import_module("keras")
    except ValueError as error:
        raise UsageError(f"Keras does not start: {error}", help) from error
    engine = keras.config.backend()
    if engine not in ENGINES:
        raise UsageError(f"Keras on {engine} takes no derivatives", help)
