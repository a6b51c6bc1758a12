"""A built folder that learns: the emitted module under torch's own optimizers, in one process or in a group of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from archspec.backend.session import slot_name
from archspec.backend.trainer import LOSS_SCALE, TrainerConfig, TrainState, rank_slices
from archspec.diagnostics import UsageError, quote
from archspec.ir.graph import Head
from archspec.ir.recipe import Recipe
from archspec_torch.batch_norm_cpu import steady
from archspec_torch.device import described, place
from archspec_torch.group_norm_workaround import guard
from archspec_torch.malloc import keep_freed
from archspec_torch.process_group import summed
from archspec_torch.runtime import load
from archspec_torch.source import network_parts
from archspec_torch.sync_batch_norm import synchronized
from archspec_torch.weights import tensor_attributes

Array = NDArray[Any]

SLOTS = {"momentum": "momentum_buffer", "mean": "exp_avg", "square": "exp_avg_sq"}
"""What torch's optimizers call what is remembered of a tensor."""


class TorchTrainer:
    """Implements `archspec.backend.trainer.Trainer`."""

    def __init__(self, folder: Path, plan: TrainerConfig) -> None:
        self.plan, recipe = plan, plan.recipe
        self.group = plan.group
        self.place = _place(plan)
        if self.place.type == "cpu":
            keep_freed()
        many = self.group.world_size > 1
        self.device = (
            f"{self.group.world_size} processes, {described(self.place)}"
            if many
            else described(self.place)
        )
        self.attributes = tensor_attributes(plan.graph, network_parts(plan.graph))
        # Convolutions of pictures are faster so, on GPUs and on CPUs.
        pictures = len(plan.graph.input) == 3
        self.format = torch.channels_last if pictures else torch.contiguous_format
        self.model: nn.Module = load(folder).to(self.place, memory_format=self.format)
        guard(self.model)
        if many:
            self.model = synchronized(self.model, self.place)
        elif pictures and self.place.type == "cpu" and not plan.compile:
            self.model = steady(self.model)
        self.forward: Any = self.model
        if plan.compile:
            self.forward = torch.compile(self.model)  # pyright: ignore[reportUnknownMemberType]
        self.heads = sorted(plan.graph.heads, key=lambda head: head.train_only)
        named = dict(self.model.named_parameters())
        self.parameters = {
            name: named[key] for name, key in self.attributes.items() if key in named
        }
        settings = plan.param_groups
        for name, parameter in self.parameters.items():
            parameter.requires_grad_(name in settings)
        self.trained = [self.parameters[name] for name in settings]
        means = [self.attributes[f"{path}.running_mean"] for path in plan.frozen_batch_norms]
        self.still = [self.model.get_submodule(name.rpartition(".")[0]) for name in means]
        groups: dict[Any, list[nn.Parameter]] = {}
        for name, setting in settings.items():
            groups.setdefault(setting, []).append(self.parameters[name])
        self.optimizer = _optimizer(
            recipe, [(s.lr_multiplier, s.weight_decay, own) for s, own in groups.items()]
        )
        self.mean = deepcopy(self.model) if recipe.average != "none" else None
        self.updates = 0
        self._remember({})
        dtypes = {"bfloat16": torch.bfloat16, "float16": torch.float16}
        self.autocast = torch.autocast(
            self.place.type, dtypes.get(recipe.precision), enabled=recipe.precision in dtypes
        )
        self.scaler = torch.GradScaler(self.place.type, enabled=recipe.precision == "float16")
        self.sums: dict[str, torch.Tensor] = {}
        self.steps = 0
        self._seed()

    def step(self, x: Array, y: Array, learning_rate: float, size: int | None = None) -> None:
        if not self.model.training:
            self.model.train()
            for norm in self.still:
                norm.eval()
        with self.group.watching():
            self._gradients(x, y, len(x) if size is None else size)
        self.steps += 1
        if self._moved(learning_rate):
            self.updates += 1
            self._average()

    def _gradients(self, x: Array, y: Array, size: int) -> None:
        """Those of the whole batch, in every process of the group."""
        self.optimizer.zero_grad()
        own = rank_slices(size, self.plan.recipe.accumulate, self.group.rank, self.group.world_size)
        ends = np.cumsum([part.stop - part.start for part in own])[:-1]
        for values, labels in zip(np.split(x, ends), np.split(y, ends), strict=True):
            total = self._loss(
                self._tensor(values), torch.as_tensor(labels).to(self.place), len(values) / size
            )
            if total.requires_grad:
                self.scaler.scale(total).backward()  # pyright: ignore[reportUnknownMemberType]
        for parameter in self.trained:
            if parameter.grad is None:  # torch would leave it out, and its weight decay with it
                parameter.grad = torch.zeros_like(parameter)
        if self.group.world_size > 1:
            summed([parameter.grad for parameter in self.trained if parameter.grad is not None])

    def _moved(self, rate: float) -> bool:
        """Takes the optimizer's step; whether there was one, which in float16 an overflow leaves out."""
        if not self.trained:
            return True
        if self.plan.recipe.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.trained, self.plan.recipe.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        before = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return self.scaler.get_scale() >= before

    def _loss(self, x: torch.Tensor, y: torch.Tensor, share: float) -> torch.Tensor:
        """A part's share of the batch's loss."""
        smoothing = self.plan.recipe.label_smoothing
        with self.autocast:
            result: Any = self.forward(x)
        total = torch.zeros((), device=self.place)
        for head, output in zip(self.heads, _several(result), strict=True):
            if head.loss != "none":
                # A share may be empty, and is passed through the network all the same: others wait for its batch norms.
                value = (
                    share * _head_loss(head, output.float(), y, smoothing)
                    if len(y)
                    else output.float().sum()
                )
                total = total + head.weight * value
                self._note(head.name, value)
        self._note("loss", total)
        return total

    def _note(self, name: str, value: torch.Tensor) -> None:
        self.sums[name] = self.sums[name] + value.detach() if name in self.sums else value.detach()

    def losses(self) -> Mapping[str, float]:
        own = (
            torch.stack([*self.sums.values()]).cpu().double().numpy() if self.sums else np.zeros(0)
        )
        means = (self.group.all_reduce(own) / max(self.steps, 1)).tolist()
        found = dict(zip(self.sums, means, strict=True))
        self.sums, self.steps = {}, 0
        return found

    def predict(self, x: Array) -> Array:
        model = self.model if self.mean is None else self.mean
        with torch.inference_mode(), self.autocast:
            result: Any = model.eval()(self._tensor(x))
        return _several(result)[0].float().cpu().numpy()

    def save(self) -> TrainState:
        slots: dict[str, Array] = {}
        for name, parameter in self.parameters.items() if self.updates else ():
            kept: Mapping[str, Any] = self.optimizer.state.get(parameter, {})
            for slot, key in SLOTS.items():
                if kept.get(key) is not None:
                    slots[slot_name(name, slot)] = _array(kept[key])
        own = {"torch.random": np.stack(self.group.all_gather(torch.get_rng_state().numpy()))}
        if self.place.type == "cuda":
            own["torch.cuda"] = np.stack(
                self.group.all_gather(torch.cuda.get_rng_state(self.place).numpy())
            )
        if self.scaler.is_enabled():
            scale = self.scaler.state_dict()
            own[LOSS_SCALE] = np.array([scale["scale"], scale["_growth_tracker"]])
        mean = {} if self.mean is None or not self.updates else self._tensors(self.mean)
        return TrainState(self._tensors(self.model), slots, mean, self.updates, own)

    def restore(self, state: TrainState) -> None:
        self._load(self.model, state.tensors)
        if self.mean is not None:
            self._load(self.mean, state.average or state.tensors)
        self.updates = state.updates
        self._remember(state.slots)
        own = state.backend_state
        self._seed()  # for what has no state here: another backend's run, or that of fewer processes
        if len(own.get("torch.random", ())) == self.group.world_size:
            torch.set_rng_state(torch.as_tensor(own["torch.random"][self.group.rank]))
        if len(own.get("torch.cuda", ())) == self.group.world_size and self.place.type == "cuda":
            torch.cuda.set_rng_state(
                torch.as_tensor(own["torch.cuda"][self.group.rank]), self.place
            )
        if LOSS_SCALE in own and self.scaler.is_enabled():
            scale, tracker = own[LOSS_SCALE].tolist()
            self.scaler.load_state_dict(
                {**self.scaler.state_dict(), "scale": scale, "_growth_tracker": int(tracker)}
            )

    def _remember(self, slots: Mapping[str, Array]) -> None:
        """Gives the optimizer what it remembers of each tensor."""
        recipe = self.plan.recipe
        self.optimizer.state.clear()
        for name, parameter in self.parameters.items():
            found = {SLOTS[s]: slots[key] for s in SLOTS if (key := slot_name(name, s)) in slots}
            kept = {
                key: torch.empty_like(parameter).copy_(torch.as_tensor(v))
                for key, v in found.items()
            }
            if kept and recipe.optimizer == "adamw":
                kept["step"] = torch.tensor(float(self.updates), device=self.place)
            if (
                recipe.optimizer == "sgd"
                and recipe.momentum
                and not kept
                and parameter.requires_grad
            ):
                # Torch's fused SGD leaves its own unwritten where the first step overflows in float16.
                kept["momentum_buffer"] = torch.zeros_like(parameter)
            if kept:
                self.optimizer.state[parameter] = kept

    def _average(self) -> None:
        """Moves the mean of the tensors, statistics among them, by what the recipe says."""
        if self.mean is None:
            return
        recipe = self.plan.recipe
        share = (
            1 / self.updates
            if recipe.average == "polyak" or self.updates == 1
            else 1 - recipe.ema_decay
        )
        ours, theirs = (
            [t for t in model.state_dict().values() if t.is_floating_point()]
            for model in (self.mean, self.model)
        )
        torch._foreach_lerp_(ours, theirs, share)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage, reportUnknownMemberType]

    def _seed(self) -> None:
        """Has dropout draw other masks in each process, and after each number of updates."""
        key = (self.group.rank, self.updates)
        (seed,) = np.random.SeedSequence(self.plan.recipe.seed, spawn_key=key).generate_state(
            1, np.uint64
        )
        torch.manual_seed(int(seed) >> 1)  # pyright: ignore[reportUnknownMemberType]

    def _tensor(self, values: Array) -> torch.Tensor:
        tensor = torch.as_tensor(np.ascontiguousarray(values, np.float32))
        return tensor.to(self.place, non_blocking=True, memory_format=self.format)

    def _tensors(self, model: nn.Module) -> dict[str, Array]:
        kept = model.state_dict()
        return {name: _array(kept[key]) for name, key in self.attributes.items()}

    def _load(self, model: nn.Module, tensors: Mapping[str, Array]) -> None:
        own = {
            self.attributes[name]: torch.as_tensor(np.array(value, np.float32))
            for name, value in tensors.items()
        }
        model.load_state_dict(own, strict=False)


def _optimizer(
    recipe: Recipe, groups: Iterable[tuple[float, float, list[nn.Parameter]]]
) -> torch.optim.Optimizer:
    own = [
        {"params": tensors, "factor": factor, "weight_decay": decay}
        for factor, decay, tensors in groups
    ]
    own = own or [
        {"params": [nn.Parameter(torch.zeros(1))], "factor": 1.0}
    ]  # an optimizer refuses to have nothing to do
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(own, lr=1.0, betas=recipe.betas, eps=recipe.eps, fused=True)
    return torch.optim.SGD(
        own, lr=1.0, momentum=recipe.momentum, nesterov=recipe.nesterov, fused=True
    )


def _head_loss(head: Head, output: torch.Tensor, y: torch.Tensor, smoothing: float) -> torch.Tensor:
    """The mean over the batch, as `archspec.reference.loss` defines it."""
    if head.loss == "mse":
        return F.mse_loss(output, y)
    if head.loss == "cross_entropy":
        return F.cross_entropy(output, y, label_smoothing=smoothing)
    classes = output.shape[1]
    exact = y.reshape(output.shape) if classes == 1 else F.one_hot(y, classes).movedim(-1, 1)
    wanted = exact.to(output.dtype) * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(output, wanted, reduction="none").sum(1).mean()


def _place(plan: TrainerConfig) -> torch.device:
    if plan.group.world_size > 1 and plan.device and ":" in plan.device:
        message = f"{plan.group.world_size} processes cannot all have {quote(plan.device)}"
        raise UsageError(
            message,
            f"--device {plan.device.partition(':')[0]} gives each process one of its own",
        )
    return place(plan.device)


def _several(values: Any) -> tuple[Any, ...]:
    return cast("tuple[Any, ...]", values) if isinstance(values, tuple) else (values,)


def _array(tensor: torch.Tensor) -> Array:
    return tensor.detach().cpu().contiguous().numpy().copy()
