"""Our loader of training images against torch's DataLoader, in milliseconds of one core per image.

The DataLoader runs once with our transform and once with torchvision's: a random crop of a 500x375
file, scaled to 224x224, flipped and normalised. Each runs with no worker process and with one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from archspec.ir.document import Preprocess
from archspec.ir.recipe import Augment
from archspec.train.data import Batches, DataSource, InputTransform, open_data, pack
from archspec.train.data.workers import PREFETCH
from benchmarks.decoding import PHOTOGRAPHS, SIZES, photograph
from benchmarks.measure import Figure, alternate_for, at_most, ratios

SECONDS = 40  # for each number of workers
COPIES = 32  # files of each photograph
BATCH = 32
SIDE = 224
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
PREPARE = InputTransform(
    (3, SIDE, SIDE), Preprocess(mean=MEAN, std=STD), Augment(area=(0.08, 1.0), flip=True)
)


def figures(seconds: float = SECONDS) -> Iterator[Figure]:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "images"
        packed = Path(scratch) / "packed"
        for label, name in enumerate(PHOTOGRAPHS):
            class_folder = folder / str(label)
            class_folder.mkdir(parents=True)
            for number in range(COPIES):
                content = photograph(name, SIZES["500x375"])
                (class_folder / f"{number}.jpg").write_bytes(content)
        pack(folder, packed)
        files = open_data(folder, val_split=0).train
        shards = open_data(packed, val_split=0).train
        for workers, clock in ((0, time.process_time), (1, time.perf_counter)):
            feeds = {
                "ours": partial(ours, files, workers),
                "from shards": partial(ours, shards, workers),
                "DataLoader, our transform": partial(data_loader, Samples(files), workers),
                "DataLoader, torchvision's": partial(data_loader, image_folder(folder), workers),
            }
            batches = 4 if workers == 0 else 16
            yield from compare(feeds, f"{workers or 'no'} process", batches, seconds, clock)


def compare(
    feeds: dict[str, Callable[[], Iterator[Any]]],
    setup: str,
    batches: int,
    seconds: float,
    clock: Callable[[], float],
) -> Iterator[Figure]:
    """Compare our feed with each of the others.

    All feeds stay open throughout, and take turns to produce `batches` batches.
    """
    # A DataLoader forks its workers as it is opened: open all before the first batch is taken.
    iterators = {name: feed() for name, feed in feeds.items()}
    calls = {name: partial(consume, feed, batches) for name, feed in iterators.items()}
    times = alternate_for(calls, seconds, clock, least=5)
    per_image = {name: [1000 * s / (batches * BATCH) for s in times[name]] for name in calls}
    mine = per_image.pop("ours")
    for name, theirs in per_image.items():
        target = None if name == "from shards" else at_most(1)
        yield Figure(
            f"an image, {setup}",
            "ms",
            median(mine),
            target,
            name,
            median(theirs),
            ratios(mine, theirs),
        )


def consume(feed: Iterator[Any], batches: int) -> None:
    for batch in islice(feed, batches):
        assert batch is not None


def ours(source: DataSource, workers: int) -> Iterator[Any]:
    return Batches(source, PREPARE, BATCH, seed=0, workers=workers).from_step(0)


def data_loader(dataset: Any, workers: int) -> Iterator[Any]:
    """Return an endless iterator over a DataLoader.

    Ours is endless too; a restart after each epoch would add the wait for its first batch.
    """
    import torch
    from torch.utils.data import DataLoader, RandomSampler

    # The figures are for one core; waiting threads would add to the CPU time.
    torch.set_num_threads(1)
    endless = RandomSampler(dataset, replacement=True, num_samples=10**9)
    options: Any = {"prefetch_factor": PREFETCH} if workers else {}
    return iter(
        DataLoader(dataset, BATCH, sampler=endless, num_workers=workers, drop_last=True, **options)
    )


class Samples:
    """Our samples as a torch `Dataset`."""

    def __init__(self, source: DataSource) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        import numpy as np

        sample = self.source[index]
        return PREPARE(sample, np.random.default_rng(index)), sample.label


def image_folder(folder: Path) -> Any:
    """Return an `ImageFolder` with the transforms of torchvision's examples."""
    from tests.helpers import torchvision_cpu

    vision = torchvision_cpu.load()
    transforms = vision.transforms
    steps = (
        transforms.RandomResizedCrop(SIDE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    )
    return vision.datasets.ImageFolder(str(folder), transforms.Compose(steps))
