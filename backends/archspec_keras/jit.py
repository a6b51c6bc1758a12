"""How a pure function over tensors is compiled and differentiated on each engine, and on which devices it runs."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part alone.

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from archspec.backend.trainer import TrainerConfig
from archspec.diagnostics import Failure

Tensors = dict[str, Any]
Loss = Callable[[Tensors], tuple[Any, Any]]
"""From tensors by name to a loss, and whatever else was computed on the way."""


class Compiler(Protocol):
    def compiled(
        self, function: Callable[..., Any], *, consumes: bool = False
    ) -> Callable[..., Any]:
        """The function as one program for each shape of what it is given.

        With `consumes` it is one from a state, and more, to the next state, and more; the memory of the state that it
        is given may be taken for the next one, and is not to be read again.
        """
        ...

    def slopes(self, loss: Loss, at: Tensors) -> tuple[Tensors, Any]:
        """The derivatives by each of the tensors, zeros where the loss does not depend on it, and what else it gave."""
        ...

    def tensor(self, values: NDArray[Any], *, batch: bool = False) -> Any:
        """The values on the engine's device, or on all of them, of a batch a share on each."""
        ...

    def device(self) -> str:
        """What it runs on, for people."""
        ...


def compiler(plan: TrainerConfig) -> Compiler:
    """That of the engine that Keras was imported with; raises `Failure` for what it has no way to do."""
    engine = keras.backend.backend()
    if plan.device:
        help = (
            "CUDA_VISIBLE_DEVICES leaves some GPUs or none, JAX_PLATFORMS=cpu has JAX take the CPU"
        )
        raise Failure(
            "`--device` is for the backend torch: an engine of Keras chooses by itself", help, 2
        )
    return {"tensorflow": TensorFlow, "jax": Jax, "torch": Torch}[engine](plan)


def _refuse_many(plan: TrainerConfig, engine: str, count: int) -> None:
    if plan.training and count > 1:
        help = "CUDA_VISIBLE_DEVICES=0 leaves one; KERAS_BACKEND=jax takes them all, as torchrun does with --backend torch"
        raise Failure(f"Keras on {engine} trains on one GPU, and there are {count}", help)


class TensorFlow:
    def __init__(self, plan: TrainerConfig) -> None:
        import tensorflow as tf

        from archspec_keras.tf_state import Held

        self.compile, self.held = plan.compile, Held()
        _refuse_many(plan, "TensorFlow", len(tf.config.list_physical_devices("GPU")))

    def compiled(
        self, function: Callable[..., Any], *, consumes: bool = False
    ) -> Callable[..., Any]:
        import tensorflow as tf

        # The code is free of Python that depends on values, which autograph would look for.
        program = partial(tf.function, autograph=False, jit_compile=self.compile or None)
        return self.held.stepping(function, program) if consumes else program(function)

    def slopes(self, loss: Loss, at: Tensors) -> tuple[Tensors, Any]:
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(at)
            total, rest = loss(at)
        return tape.gradient(total, at, unconnected_gradients=tf.UnconnectedGradients.ZERO), rest

    def tensor(self, values: NDArray[Any], *, batch: bool = False) -> Any:
        return keras.ops.convert_to_tensor(np.array(values, order="C"))

    def device(self) -> str:
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            details: Mapping[str, Any] = tf.config.experimental.get_device_details(gpu)
            return f"tensorflow, {details.get('device_name', gpu.name)}"
        return "tensorflow, cpu"


class Jax:
    """It compiles always, one program for all devices: what is summed over a batch is summed over all of them."""

    def __init__(self, plan: TrainerConfig) -> None:
        import jax

        self.devices = jax.devices()
        self.mesh = keras.distribution.DeviceMesh(
            (len(self.devices),), ["batch"], keras.distribution.list_devices()
        )

    def compiled(
        self, function: Callable[..., Any], *, consumes: bool = False
    ) -> Callable[..., Any]:
        import jax

        whole = keras.distribution.TensorLayout([], self.mesh).backend_layout
        return jax.jit(function, donate_argnums=(0,) if consumes else (), out_shardings=whole)

    def slopes(self, loss: Loss, at: Tensors) -> tuple[Tensors, Any]:
        import jax

        return jax.grad(loss, has_aux=True)(at)

    def tensor(self, values: NDArray[Any], *, batch: bool = False) -> Any:
        # A batch that cannot be shared out evenly, as an epoch's last one, is computed by each device as a whole.
        shared = batch and len(values) % len(self.devices) == 0
        axes: list[Any] = ["batch" if shared and axis == 0 else None for axis in range(values.ndim)]
        layout = keras.distribution.TensorLayout(axes, self.mesh)
        return keras.distribution.distribute_tensor(np.array(values, order="C"), layout)

    def device(self) -> str:
        count, kind = len(self.devices), self.devices[0].device_kind
        return f"jax, {count} x {kind}" if count > 1 else f"jax, {kind}"


class Torch:
    """It computes as it goes: nothing is compiled."""

    def __init__(self, plan: TrainerConfig) -> None:
        import torch

        if plan.compile:
            raise Failure(
                "Keras on PyTorch compiles nothing",
                "leave out --compile, or take `--backend torch`",
                2,
            )
        _refuse_many(plan, "PyTorch", torch.cuda.device_count())

    def compiled(
        self, function: Callable[..., Any], *, consumes: bool = False
    ) -> Callable[..., Any]:
        import torch

        return torch.no_grad()(function)

    def slopes(self, loss: Loss, at: Tensors) -> tuple[Tensors, Any]:
        import torch

        def detached(tensor: Any) -> Any:
            return tensor.detach()

        with torch.enable_grad():
            leaves = {name: tensor.detach().requires_grad_() for name, tensor in at.items()}
            total, rest = loss(leaves)
        found: Any = [torch.zeros_like(leaf) for leaf in leaves.values()]
        if total.requires_grad:
            found = torch.autograd.grad(
                total, [*leaves.values()], allow_unused=True, materialize_grads=True
            )
        return dict(zip(leaves, found, strict=True)), keras.tree.map_structure(detached, rest)

    def tensor(self, values: NDArray[Any], *, batch: bool = False) -> Any:
        return keras.ops.convert_to_tensor(np.array(values, order="C"))

    def device(self) -> str:
        import torch

        cuda = torch.cuda.is_available()
        return f"torch, {torch.cuda.get_device_name() if cuda else torch.get_default_device()}"
