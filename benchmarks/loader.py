"""Batches of pictures for training: our loader against torch's DataLoader, in milliseconds of a core for each picture.

The DataLoader is given our own preparation of a sample, and then what torchvision has for it: of files of 500x375, a
random part scaled to 224x224, mirrored, normalised. With one process each, and with none.
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

SECONDS = 40  # without processes, and with them
MANY, BATCH, SIDE = 32, 32, 224  # files of each photograph, samples of a batch, the input's side
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPARE = InputTransform(
    (3, SIDE, SIDE), Preprocess(mean=MEAN, std=STD), Augment(area=(0.08, 1.0), flip=True)
)


def figures(seconds: float = SECONDS) -> Iterator[Figure]:
    with TemporaryDirectory() as scratch:
        folder, packed = Path(scratch) / "pictures", Path(scratch) / "packed"
        for label, name in enumerate(PHOTOGRAPHS):
            (folder / str(label)).mkdir(parents=True)
            for number in range(MANY):
                (folder / str(label) / f"{number}.jpg").write_bytes(
                    photograph(name, SIZES["500x375"])
                )
        pack(folder, packed)
        files, shards = (open_data(place, val_split=0).train for place in (folder, packed))
        for workers, clock in ((0, time.process_time), (1, time.perf_counter)):
            feeds = {
                "ours": partial(ours, files, workers),
                "from shards": partial(ours, shards, workers),
                "DataLoader, our preparation": partial(data_loader, Samples(files), workers),
                "DataLoader, torchvision's": partial(data_loader, image_folder(folder), workers),
            }
            yield from compared(
                feeds, f"{workers or 'no'} process", 4 if workers == 0 else 16, seconds, clock
            )


def compared(
    feeds: dict[str, Callable[[], Iterator[Any]]],
    how: str,
    batches: int,
    seconds: float,
    clock: Callable[[], float],
) -> Iterator[Figure]:
    """Ours against each of the others; every feed goes on all the time, and is asked for so many batches in turn."""
    begun = {
        name: feed() for name, feed in feeds.items()
    }  # the DataLoader's processes, which are forked, come first
    found = alternate_for(
        {name: partial(take, feed, batches) for name, feed in begun.items()},
        seconds,
        clock,
        least=5,
    )
    each = {name: [1000 * s / (batches * BATCH) for s in times] for name, times in found.items()}
    mine = each.pop("ours")
    for name, theirs in each.items():
        target = None if name == "from shards" else at_most(1)
        yield Figure(
            f"a picture, {how}",
            "ms",
            median(mine),
            target,
            name,
            median(theirs),
            ratios(mine, theirs),
        )


def take(feed: Iterator[Any], batches: int) -> None:
    for made in islice(feed, batches):
        assert made is not None


def ours(source: DataSource, workers: int) -> Iterator[Any]:
    return Batches(source, PREPARE, BATCH, seed=0, workers=workers).from_step(0)


def data_loader(dataset: Any, workers: int) -> Iterator[Any]:
    """Without end, as ours: a DataLoader that began anew after each epoch would wait for its first batch then."""
    import torch
    from torch.utils.data import DataLoader, RandomSampler

    torch.set_num_threads(
        1
    )  # a core is what is compared; more threads wait for each other, and that counts
    endless = RandomSampler(dataset, replacement=True, num_samples=10**9)
    more: Any = {"prefetch_factor": PREFETCH} if workers else {}
    return iter(
        DataLoader(dataset, BATCH, sampler=endless, num_workers=workers, drop_last=True, **more)
    )


class Samples:
    """Our samples as a data set of torch's."""

    def __init__(self, source: DataSource) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        import numpy as np

        sample = self.source[index]
        return PREPARE(sample, np.random.default_rng(index)), sample.label


def image_folder(folder: Path) -> Any:
    """torchvision's own way, as its examples have it."""
    from tests.helpers import torchvision_cpu

    vision = torchvision_cpu.load()
    make = vision.transforms
    steps = (
        make.RandomResizedCrop(SIDE),
        make.RandomHorizontalFlip(),
        make.ToTensor(),
        make.Normalize(MEAN, STD),
    )
    return vision.datasets.ImageFolder(str(folder), make.Compose(steps))
