"""Scores of a model's outputs: loss, top-1, top-5 and the confusion matrix.

>>> import numpy as np
>>> scores = Scores("cross_entropy", 3)
>>> scores.add(np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]), np.array([0, 1]))
>>> scores.top1, round(scores.loss, 4), scores.confusion.tolist()
(0.5, 0.9076, [[1, 0, 0], [0, 0, 1], [0, 0, 0]])
"""

from __future__ import annotations

from dataclasses import dataclass, field

from archspec._numpy import Array, np
from archspec.backend.process_group import ProcessGroup
from archspec.reference.loss import loss


@dataclass(slots=True)
class Scores:
    """Scores over the batches so far; `confusion` counts by true class, then by predicted class."""

    loss_kind: str
    """The loss of the head that is scored."""
    classes: int
    count: int = 0
    top1_hits: int = 0
    top5_hits: int = 0
    loss_sum: float = 0.0
    confusion: Array = field(init=False)

    def __post_init__(self) -> None:
        self.confusion = np.zeros((self.classes, self.classes), np.int64)

    def add(self, outputs: Array, labels: Array) -> None:
        """Add a batch of outputs [N, classes], higher is likelier, and labels [N]; N may be 0.

        One logit [N, 1] stands for the second of two classes. Of equal outputs the first class
        wins.
        """
        if not len(labels):
            return
        mean_loss = loss(self.loss_kind, outputs.astype(np.float64), labels)[0]
        self.loss_sum += mean_loss * len(labels)
        if outputs.shape[1] == 1:
            outputs = np.concatenate([-outputs, outputs], axis=1)
        order = np.argsort(-outputs, axis=1, kind="stable")
        is_true = order == labels.reshape(-1, 1)
        self.count += len(labels)
        self.top1_hits += int(is_true[:, 0].sum())
        self.top5_hits += int(is_true[:, :5].sum())
        np.add.at(self.confusion, (labels, order[:, 0]), 1)

    @property
    def top1(self) -> float:
        """The share of samples whose likeliest class is the true one."""
        return self.top1_hits / max(self.count, 1)

    @property
    def top5(self) -> float:
        """The share of samples whose true class is among the five likeliest."""
        return self.top5_hits / max(self.count, 1)

    @property
    def loss(self) -> float:
        """The mean over the samples."""
        return self.loss_sum / max(self.count, 1)

    def all_reduce(self, group: ProcessGroup) -> Scores:
        """Return the scores over the samples of all ranks."""
        totals = [self.count, self.top1_hits, self.top5_hits, self.loss_sum]
        # One all-reduce for everything.
        flat = np.concatenate([self.confusion.reshape(-1), totals]).astype(np.float64)
        *counts, loss_sum = group.all_reduce(flat)
        reduced = Scores(
            self.loss_kind, self.classes, *map(int, counts[-3:]), loss_sum=float(loss_sum)
        )
        reduced.confusion[:] = np.reshape(counts[:-3], self.confusion.shape)
        return reduced

    def summary(self) -> dict[str, float]:
        """Return the loss, top-1 and top-5 by name."""
        return {"loss": self.loss, "top1": self.top1, "top5": self.top5}

    def for_class(self, index: int) -> ClassResult:
        """Return what the confusion matrix says of one class."""
        row = self.confusion[index].copy()
        hits = int(self.confusion[index, index])
        samples = int(row.sum())
        predicted = int(self.confusion[:, index].sum())
        row[index] = 0
        return ClassResult(
            samples,
            recall=hits / samples if samples else None,
            precision=hits / predicted if predicted else None,
            confused_with=int(row.argmax()) if row.any() else None,
        )


@dataclass(frozen=True, slots=True)
class ClassResult:
    """The recall and precision of a class; None where they are undefined."""

    samples: int
    recall: float | None
    precision: float | None
    confused_with: int | None
    """The other class most often predicted for its samples."""
