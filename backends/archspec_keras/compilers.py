"""How a pure function over tensors is compiled and differentiated on each engine, and what it runs on."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part alone.

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import keras

Tensors = dict[str, Any]
Loss = Callable[[Tensors], tuple[Any, Any]]
"""From tensors by name to a loss, and whatever else was computed on the way."""


class Compiler(Protocol):
    def compiled(self, function: Callable[..., Any], *, consumes: bool = False) -> Callable[..., Any]:
        """The function as one program for each shape of what it is given.

        With `consumes`, the memory of its first argument may be taken for the result, and is not to be read again.
        """
        ...

    def slopes(self, loss: Loss, at: Tensors) -> tuple[Tensors, Any]:
        """The derivatives by each of the tensors, zeros where the loss does not depend on it, and what else it gave."""
        ...

    def device(self) -> str:
        """What it runs on, for people."""
        ...


def compiler() -> Compiler:
    """That of the engine that Keras was imported with."""
    return {"tensorflow": TensorFlow, "jax": Jax, "torch": Torch}[keras.backend.backend()]()


class TensorFlow:
    def compiled(self, function: Callable[..., Any], *, consumes: bool = False) -> Callable[..., Any]:
        import tensorflow as tf

        # XLA pays on GPUs alone. The code is free of Python that depends on values, which autograph would look for.
        gpu = bool(tf.config.list_logical_devices("GPU"))
        return tf.function(function, autograph=False, jit_compile=gpu or None)

    def slopes(self, loss: Loss, at: Tensors) -> tuple[Tensors, Any]:
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(at)
            total, rest = loss(at)
        return tape.gradient(total, at, unconnected_gradients=tf.UnconnectedGradients.ZERO), rest

    def device(self) -> str:
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            details: Mapping[str, Any] = tf.config.experimental.get_device_details(gpu)
            return f"tensorflow, {details.get('device_name', gpu.name)}"
        return "tensorflow, cpu"


class Jax:
    def compiled(self, function: Callable[..., Any], *, consumes: bool = False) -> Callable[..., Any]:
        import jax

        return jax.jit(function, donate_argnums=(0,) if consumes else ())

    def slopes(self, loss: Loss, at: Tensors) -> tuple[Tensors, Any]:
        import jax

        return jax.grad(loss, has_aux=True)(at)

    def device(self) -> str:
        import jax

        return f"jax, {jax.devices()[0].device_kind}"


class Torch:
    """It computes as it goes: nothing is compiled."""

    def compiled(self, function: Callable[..., Any], *, consumes: bool = False) -> Callable[..., Any]:
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
            found = torch.autograd.grad(total, [*leaves.values()], allow_unused=True, materialize_grads=True)
        return dict(zip(leaves, found, strict=True)), keras.tree.map_structure(detached, rest)

    def device(self) -> str:
        import torch

        cuda = torch.cuda.is_available()
        return f"torch, {torch.cuda.get_device_name() if cuda else torch.get_default_device()}"
