"""Training of the emitted module by torch's own optimizers, on one process or several."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from archspec.backend.optimizer import update_rule
from archspec.backend.trainer import LOSS_SCALE, ParamGroup, TrainerConfig, TrainState, rank_slices
from archspec.diagnostics import UsageError, quote
from archspec_torch.batch_norm_cpu import use_accurate_statistics
from archspec_torch.data_parallel import TrainingPass
from archspec_torch.device import describe_device, select_device
from archspec_torch.group_norm_workaround import work_around_group_norm
from archspec_torch.layer_norm_cpu import use_float32_layer_norms
from archspec_torch.layout import state_dict_keys
from archspec_torch.loss import head_loss
from archspec_torch.malloc import keep_freed_memory
from archspec_torch.optimizer import get_slots, make_optimizer, set_slots
from archspec_torch.process_group import TorchProcessGroup
from archspec_torch.runtime import load_model
from archspec_torch.sharding import WholeModel, check_shardable, shard
from archspec_torch.sync_batch_norm import synchronize_batch_norms
from archspec_torch.tensors import as_tuple, local, set_values, to_numpy

Array = NDArray[Any]

AUTOCAST_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}

CPU_RANDOM, CUDA_RANDOM = "torch.random", "torch.cuda"
"""The keys in `TrainState.backend_state` of torch's random generators, a row for each process."""


class TorchTrainer:
    """Implements `archspec.backend.trainer.Trainer`."""

    def __init__(self, folder: Path, config: TrainerConfig) -> None:
        self.config = config
        self.group = config.group
        self.is_distributed = isinstance(self.group, TorchProcessGroup)
        self.torch_device = _select_device(config)
        self.is_sharded = self.is_distributed and config.training and config.shard == "full"
        if self.is_sharded:
            check_shardable(config)
        if self.torch_device.type == "cpu":
            keep_freed_memory()
        self.device = describe_device(self.torch_device)
        if self.group.world_size > 1:
            self.device = f"{self.group.world_size} processes, {self.device}"
        self.attributes = state_dict_keys(config.graph)
        # Convolutions of images are faster with channels last, on GPUs and on CPUs.
        self.is_image = len(config.graph.input) == 3
        self.memory_format = torch.channels_last if self.is_image else torch.contiguous_format
        self.model = self._prepare_model(folder)
        self.heads = sorted(config.graph.heads, key=lambda head: head.train_only)
        self._select_parameters()
        recipe = config.recipe
        self.averaged_model: nn.Module | None = None
        if recipe.average != "none":
            self.averaged_model = (
                self._prepare_model(folder) if self.is_sharded else deepcopy(self.model)
            )
        self.training_pass = TrainingPass(self.model, compile=config.compile)
        if self.is_distributed and config.training and not self.is_sharded:
            self.training_pass.sum_gradients(self._parameters_with_gradients())
        self.autocast = torch.autocast(
            self.torch_device.type,
            AUTOCAST_DTYPES.get(recipe.precision),
            enabled=recipe.precision in AUTOCAST_DTYPES,
        )
        self.scaler = torch.GradScaler(
            self.torch_device.type, enabled=recipe.precision == "float16"
        )
        self.loss_sums: dict[str, torch.Tensor] = {}
        self.steps = 0
        self._seed()

    def _prepare_model(self, folder: Path) -> nn.Module:
        """Load the folder's model on the device, with its norms made fit for training."""
        loaded: Any = load_model(folder)
        if self.is_sharded:
            self.whole_model = WholeModel(deepcopy(loaded), self.torch_device)
            work_around_group_norm(loaded)
            loaded = synchronize_batch_norms(loaded, self.torch_device)
            return shard(loaded, self.torch_device)
        model: nn.Module = loaded.to(self.torch_device, memory_format=self.memory_format)
        work_around_group_norm(model)
        use_float32_layer_norms(model)
        if self.is_distributed:
            return synchronize_batch_norms(model, self.torch_device)
        if self.is_image and self.torch_device.type == "cpu" and not self.config.compile:
            return use_accurate_statistics(model)
        return model

    def _select_parameters(self) -> None:
        """Find the parameters, freeze what the recipe freezes, and make an optimizer of the
        rest."""
        named = dict(self.model.named_parameters())
        self.parameters = {
            name: named[key] for name, key in self.attributes.items() if key in named
        }
        settings = self.config.param_groups
        for name, parameter in self.parameters.items():
            parameter.requires_grad_(name in settings)
        self.trained = [self.parameters[name] for name in settings]
        means = [self.attributes[f"{path}.running_mean"] for path in self.config.frozen_batch_norms]
        self.frozen_norms = [self.model.get_submodule(key.rpartition(".")[0]) for key in means]
        groups: dict[ParamGroup, list[nn.Parameter]] = {}
        for name, setting in settings.items():
            groups.setdefault(setting, []).append(self.parameters[name])
        self.rule = update_rule(self.config.recipe)
        self.optimizer = make_optimizer(self.rule, groups, fused=not self.is_sharded)
        self.updates = 0
        set_slots(self.optimizer, self.rule, self.parameters, {}, self.updates)

    def _parameters_with_gradients(self) -> list[nn.Parameter]:
        """Return those to train that some loss depends on."""
        graph = self.config.graph
        trained = set(self.trained)
        read = graph.reachable(tuple(head for head in graph.heads if head.loss != "none"))
        return [
            self.parameters[name]
            for name, node, _ in graph.parameters()
            if node.index in read and self.parameters.get(name) in trained
        ]

    def step(self, x: Array, y: Array, learning_rate: float, size: int | None = None) -> None:
        if self.is_sharded:
            self.whole_model.forget()
        if not self.model.training:
            self.model.train()
            for norm in self.frozen_norms:
                norm.eval()
        with self.group.handle_lost_peers():
            self._compute_gradients(x, y, len(x) if size is None else size)
        self.steps += 1
        if self._update(learning_rate):
            self.updates += 1
            self._update_average()

    def _compute_gradients(self, x: Array, y: Array, size: int) -> None:
        """Compute the gradients of the whole batch, the same on every process of the group."""
        self.optimizer.zero_grad()
        parts = rank_slices(
            size, self.config.recipe.accumulate, self.group.rank, self.group.world_size
        )
        ends = np.cumsum([part.stop - part.start for part in parts])[:-1]
        all_have_samples = size // len(parts) >= self.group.world_size
        pairs = zip(np.split(x, ends), np.split(y, ends), strict=True)
        for number, (values, labels) in enumerate(pairs, start=1):
            targets = torch.as_tensor(labels).to(self.torch_device)
            with self.training_pass.accumulate(more=number < len(parts)):
                with self.autocast:
                    outputs: Any = self.training_pass.forward(
                        self._tensor(values), all_have_samples=all_have_samples
                    )
                loss = self._loss(as_tuple(outputs), targets, len(values) / size)
                if loss.requires_grad:
                    self.scaler.scale(loss).backward()  # pyright: ignore[reportUnknownMemberType]
        for parameter in self.trained:
            if parameter.grad is None:  # torch would leave it out, and its weight decay with it
                parameter.grad = torch.zeros_like(parameter)

    def _update(self, learning_rate: float) -> bool:
        """Take the optimizer's step; return False if an overflow in float16 skipped it."""
        if not self.trained:
            return True
        if self.config.recipe.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.trained, self.config.recipe.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group["factor"]
        scale_before = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return self.scaler.get_scale() >= scale_before

    def _loss(
        self, outputs: tuple[torch.Tensor, ...], y: torch.Tensor, weight: float
    ) -> torch.Tensor:
        """Return a microbatch's part of the batch's loss, and add it to the sums of `losses`."""
        smoothing = self.config.recipe.label_smoothing
        total = torch.zeros((), device=self.torch_device)
        for head, output in zip(self.heads, outputs, strict=True):
            if head.loss == "none":
                continue
            if len(y):
                value = weight * head_loss(head, output.float(), y, smoothing)
            else:
                # An empty slice passes through the network all the same: the other processes wait
                # for its part of their batch norms' statistics.
                value = output.float().sum()
            total = total + head.weight * value
            self._add_loss(head.name, value)
        self._add_loss("loss", total)
        return total

    def _add_loss(self, name: str, value: torch.Tensor) -> None:
        value = value.detach()
        self.loss_sums[name] = self.loss_sums[name] + value if name in self.loss_sums else value

    def losses(self) -> Mapping[str, float]:
        sums = np.zeros(0)
        if self.loss_sums:
            sums = torch.stack([*self.loss_sums.values()]).cpu().double().numpy()
        means = self.group.all_reduce(sums) / max(self.steps, 1)
        losses = dict(zip(self.loss_sums, means.tolist(), strict=True))
        self.loss_sums = {}
        self.steps = 0
        return losses

    def predict(self, x: Array) -> Array:
        model = self.model if self.averaged_model is None else self.averaged_model
        if self.is_sharded:
            if self.whole_model.is_old:
                self.save()
            model = self.whole_model.use()
        with torch.inference_mode(), self.autocast:
            result: Any = model.eval()(self._tensor(x))
        return as_tuple(result)[0].float().cpu().numpy()

    def save(self) -> TrainState:
        slots: dict[str, Array] = {}
        if self.updates:
            slots = get_slots(self.optimizer, self.parameters)
        average: dict[str, Array] = {}
        if self.averaged_model is not None and self.updates:
            average = self._tensors(self.averaged_model)
        tensors = self._tensors(self.model)
        if self.is_sharded:
            self._load(self.whole_model.renew(), average or tensors)
        return TrainState(tensors, slots, average, self.updates, self._backend_state())

    def _backend_state(self) -> dict[str, Array]:
        """Return the random generators of every process, and the scale of float16 losses."""
        states = self.group.all_gather(torch.get_rng_state().numpy())
        backend_state = {CPU_RANDOM: np.stack(states)}
        if self.torch_device.type == "cuda":
            states = self.group.all_gather(torch.cuda.get_rng_state(self.torch_device).numpy())
            backend_state[CUDA_RANDOM] = np.stack(states)
        if self.scaler.is_enabled():
            scale = self.scaler.state_dict()
            backend_state[LOSS_SCALE] = np.array([scale["scale"], scale["_growth_tracker"]])
        return backend_state

    def restore(self, state: TrainState) -> None:
        self._load(self.model, state.tensors)
        if self.averaged_model is not None:
            self._load(self.averaged_model, state.average or state.tensors)
        if self.is_sharded:
            self._load(self.whole_model.renew(), state.average or state.tensors)
        self.updates = state.updates
        set_slots(self.optimizer, self.rule, self.parameters, state.slots, self.updates)
        self._restore_backend_state(state.backend_state)

    def _restore_backend_state(self, backend_state: Mapping[str, Array]) -> None:
        """Set the random generators and the loss scale, from what of them was saved."""
        self._seed()  # for a run of another backend, or of another number of processes
        rank, world_size = self.group.rank, self.group.world_size
        if len(backend_state.get(CPU_RANDOM, ())) == world_size:
            torch.set_rng_state(torch.as_tensor(backend_state[CPU_RANDOM][rank]))
        if (
            len(backend_state.get(CUDA_RANDOM, ())) == world_size
            and self.torch_device.type == "cuda"
        ):
            cuda_state = torch.as_tensor(backend_state[CUDA_RANDOM][rank])
            torch.cuda.set_rng_state(cuda_state, self.torch_device)
        if LOSS_SCALE in backend_state and self.scaler.is_enabled():
            scale, steps = backend_state[LOSS_SCALE].tolist()
            saved = {"scale": scale, "_growth_tracker": int(steps)}
            self.scaler.load_state_dict({**self.scaler.state_dict(), **saved})

    def _update_average(self) -> None:
        """Move the averaged model, its running statistics included, as the recipe says."""
        if self.averaged_model is None:
            return
        recipe = self.config.recipe
        if recipe.average == "polyak" or self.updates == 1:
            weight = 1 / self.updates
        else:
            weight = 1 - recipe.ema_decay
        averages, tensors = (
            [local(t) for t in model.state_dict().values() if t.is_floating_point()]
            for model in (self.averaged_model, self.model)
        )
        torch._foreach_lerp_(averages, tensors, weight)  # pyright: ignore

    def _seed(self) -> None:
        """Seed dropout, with other masks on each process and after each number of updates."""
        sequence = np.random.SeedSequence(
            self.config.recipe.seed, spawn_key=(self.group.rank, self.updates)
        )
        (seed,) = sequence.generate_state(1, np.uint64)
        torch.manual_seed(int(seed) >> 1)  # pyright: ignore[reportUnknownMemberType]

    def _tensor(self, values: Array) -> torch.Tensor:
        tensor = torch.as_tensor(np.ascontiguousarray(values, np.float32))
        return tensor.to(self.torch_device, non_blocking=True, memory_format=self.memory_format)

    def _tensors(self, model: nn.Module) -> dict[str, Array]:
        """Return a model's tensors by portable name."""
        state = model.state_dict()
        return {name: to_numpy(state[key]) for name, key in self.attributes.items()}

    def _load(self, model: nn.Module, tensors: Mapping[str, Array]) -> None:
        """Set a model's tensors, given by portable name."""
        state = model.state_dict()
        for name, value in tensors.items():
            set_values(state[self.attributes[name]], np.array(value, np.float32))


def _select_device(config: TrainerConfig) -> torch.device:
    """Return the config's device; raise `UsageError` if several processes would share one GPU."""
    processes = config.group.world_size
    if processes > 1 and config.device and ":" in config.device:
        kind = config.device.partition(":")[0]
        message = f"{processes} processes cannot all have {quote(config.device)}"
        raise UsageError(message, f"--device {kind} gives each process one of its own")
    return select_device(config.device)
