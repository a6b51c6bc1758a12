"""Compilation and gradients of pure functions over tensors on each engine, and the devices used."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part only.

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from archspec.backend.trainer import TrainerConfig
from archspec.diagnostics import Failure, UsageError

Tensors = dict[str, Any]
Loss = Callable[[Tensors], tuple[Any, Any]]
"""Map tensors by name to a loss, and to whatever else was computed on the way."""


class Jit(Protocol):
    """Compile and differentiate functions, and put arrays on devices."""

    def compiled(
        self, function: Callable[..., Any], *, donate_state: bool = False
    ) -> Callable[..., Any]:
        """Return the function as one program for each set of argument shapes.

        With `donate_state` the function takes a state first and returns the next state first. The
        memory of the state passed in may be reused for the next one: do not read it again.
        """
        ...

    def gradients(self, loss: Loss, tensors: Tensors) -> tuple[Tensors, Any]:
        """Return the gradient by each tensor, and the second result of `loss`.

        A tensor that the loss does not depend on has zeros.
        """
        ...

    def tensor(self, values: NDArray[Any], *, batch: bool = False) -> Any:
        """Return the values on every device; a batch is split over the devices."""
        ...

    def device(self) -> str:
        """Return a description of the device for people."""
        ...


def jit(config: TrainerConfig) -> Jit:
    """Return the compiler of the engine that Keras was imported with.

    Raises `Failure` for a device or number of devices that the engine cannot train on.
    """
    if config.device:
        raise UsageError(
            "`--device` is for the backend torch: an engine of Keras chooses by itself",
            "CUDA_VISIBLE_DEVICES leaves some GPUs or none, JAX_PLATFORMS=cpu has JAX take the CPU",
        )
    by_engine = {"tensorflow": TensorFlowJit, "jax": JaxJit, "torch": TorchJit}
    return by_engine[keras.backend.backend()](config)


def _check_one_gpu(config: TrainerConfig, engine: str, count: int) -> None:
    if config.training and count > 1:
        raise Failure(
            f"Keras on {engine} trains on one GPU, and there are {count}",
            "CUDA_VISIBLE_DEVICES=0 leaves one; KERAS_BACKEND=jax takes them all, "
            "as torchrun does with --backend torch",
        )


class TensorFlowJit:
    """Implements `Jit` with `tf.function`, through XLA if the user asks for a compiler."""

    def __init__(self, config: TrainerConfig) -> None:
        import tensorflow as tf

        from archspec_keras.tf_state import TensorFlowState

        self.use_xla = config.compile
        self.half_precision = config.recipe.precision != "float32"
        self.state = TensorFlowState()
        _check_one_gpu(config, "TensorFlow", len(tf.config.list_physical_devices("GPU")))

    def compiled(
        self, function: Callable[..., Any], *, donate_state: bool = False
    ) -> Callable[..., Any]:
        import tensorflow as tf

        # No Python here depends on the values of tensors, so there is nothing for autograph to do.
        trace = partial(tf.function, autograph=False, jit_compile=self.use_xla or None)
        return self.state.in_place(function, trace) if donate_state else trace(function)

    def gradients(self, loss: Loss, tensors: Tensors) -> tuple[Tensors, Any]:
        import tensorflow as tf

        if self.half_precision:
            from archspec_keras.tf_sums import gradients

            return gradients(loss, tensors)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors)
            total, rest = loss(tensors)
        zero = tf.UnconnectedGradients.ZERO
        return tape.gradient(total, tensors, unconnected_gradients=zero), rest

    def tensor(self, values: NDArray[Any], *, batch: bool = False) -> Any:
        return keras.ops.convert_to_tensor(np.array(values, order="C"))

    def device(self) -> str:
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            details: Mapping[str, Any] = tf.config.experimental.get_device_details(gpu)
            return f"tensorflow, {details.get('device_name', gpu.name)}"
        return "tensorflow, cpu"


class JaxJit:
    """Implements `Jit`. One program runs on all devices: a sum over a batch is over all of them."""

    def __init__(self, config: TrainerConfig) -> None:
        import jax

        self.half_precision = config.recipe.precision != "float32"
        self.devices = jax.devices()
        self.mesh = keras.distribution.DeviceMesh(
            (len(self.devices),), ["batch"], keras.distribution.list_devices()
        )

    def compiled(
        self, function: Callable[..., Any], *, donate_state: bool = False
    ) -> Callable[..., Any]:
        import jax

        replicated = keras.distribution.TensorLayout([], self.mesh).backend_layout
        donated = (0,) if donate_state else ()
        return jax.jit(function, donate_argnums=donated, out_shardings=replicated)

    def gradients(self, loss: Loss, tensors: Tensors) -> tuple[Tensors, Any]:
        import jax

        gradient: Any = jax.grad(loss, has_aux=True)
        if self.half_precision:
            from archspec_keras.jax_sums import summing_in_float32

            gradient = summing_in_float32(gradient)
        return gradient(tensors)

    def tensor(self, values: NDArray[Any], *, batch: bool = False) -> Any:
        # A batch that does not split evenly, such as an epoch's last, is replicated instead.
        split = batch and len(values) % len(self.devices) == 0
        axes: list[Any] = [None] * values.ndim
        if split:
            axes[0] = "batch"
        layout = keras.distribution.TensorLayout(axes, self.mesh)
        return keras.distribution.distribute_tensor(np.array(values, order="C"), layout)

    def device(self) -> str:
        count, kind = len(self.devices), self.devices[0].device_kind
        return f"jax, {count} x {kind}" if count > 1 else f"jax, {kind}"


class TorchJit:
    """Implements `Jit` eagerly: nothing is compiled."""

    def __init__(self, config: TrainerConfig) -> None:
        import torch

        if config.compile:
            raise UsageError(
                "Keras on PyTorch compiles nothing",
                "leave out --compile, or take `--backend torch`",
            )
        _check_one_gpu(config, "PyTorch", torch.cuda.device_count())

    def compiled(
        self, function: Callable[..., Any], *, donate_state: bool = False
    ) -> Callable[..., Any]:
        import torch

        return torch.no_grad()(function)

    def gradients(self, loss: Loss, tensors: Tensors) -> tuple[Tensors, Any]:
        import torch

        def detached(tensor: Any) -> Any:
            return tensor.detach()

        with torch.enable_grad():
            leaves = {name: tensor.detach().requires_grad_() for name, tensor in tensors.items()}
            total, rest = loss(leaves)
        gradients: Any = [torch.zeros_like(leaf) for leaf in leaves.values()]
        # With every weight frozen the loss has no graph, and `grad` would raise.
        if total.requires_grad:
            gradients = torch.autograd.grad(
                total, [*leaves.values()], allow_unused=True, materialize_grads=True
            )
        return dict(zip(leaves, gradients, strict=True)), keras.tree.map_structure(detached, rest)

    def tensor(self, values: NDArray[Any], *, batch: bool = False) -> Any:
        return keras.ops.convert_to_tensor(np.array(values, order="C"))

    def device(self) -> str:
        import torch

        cuda = torch.cuda.is_available()
        return f"torch, {torch.cuda.get_device_name() if cuda else torch.get_default_device()}"
