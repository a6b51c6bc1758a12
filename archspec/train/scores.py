"""How good a model's outputs are: loss, top-1, top-5, and which class is taken for which.

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
    """What is known after some batches; `confusion` counts by true class and by the one that was taken."""

    kind: str
    """The loss of the head that is scored."""
    classes: int
    count: int = 0
    hits: int = 0
    near: int = 0
    total: float = 0.0
    confusion: Array = field(init=False)

    def __post_init__(self) -> None:
        self.confusion = np.zeros((self.classes, self.classes), np.int64)

    def add(self, outputs: Array, labels: Array) -> None:
        """A batch of outputs [N, classes], the higher the likelier, and its labels [N]; it may be empty.

        Outputs of one value [N, 1] are of the second of two classes. Of equal outputs the class that comes first wins.
        """
        if not len(labels):
            return
        self.total += loss(self.kind, outputs.astype(np.float64), labels)[0] * len(labels)
        if outputs.shape[1] == 1:
            outputs = np.concatenate([-outputs, outputs], axis=1)
        order = np.argsort(-outputs, axis=1, kind="stable")
        right = order == labels.reshape(-1, 1)
        self.count += len(labels)
        self.hits += int(right[:, 0].sum())
        self.near += int(right[:, :5].sum())
        np.add.at(self.confusion, (labels, order[:, 0]), 1)

    @property
    def top1(self) -> float:
        """The share whose likeliest class is the true one."""
        return self.hits / max(self.count, 1)

    @property
    def top5(self) -> float:
        """The share whose true class is among the five likeliest."""
        return self.near / max(self.count, 1)

    @property
    def loss(self) -> float:
        """The mean over the samples."""
        return self.total / max(self.count, 1)

    def of_all(self, group: ProcessGroup) -> Scores:
        """With what the other processes of a group have scored."""
        figures = [self.count, self.hits, self.near, self.total]
        *counts, total = group.all_reduce(
            np.concatenate([self.confusion.reshape(-1), figures]).astype(np.float64)
        )
        found = Scores(self.kind, self.classes, *map(int, counts[-3:]), total=float(total))
        found.confusion[:] = np.reshape(counts[:-3], self.confusion.shape)
        return found

    def summary(self) -> dict[str, float]:
        """The figures by name."""
        return {"loss": self.loss, "top1": self.top1, "top5": self.top5}

    def of_class(self, index: int) -> Class:
        """What the confusion says of one class."""
        row, hits = self.confusion[index].copy(), int(self.confusion[index, index])
        count, taken = int(row.sum()), int(self.confusion[:, index].sum())
        row[index] = 0
        other = int(row.argmax()) if row.any() else None
        return Class(count, hits / count if count else None, hits / taken if taken else None, other)


@dataclass(frozen=True, slots=True)
class Class:
    """Of `samples` of a class the share `recall` was found; of what was taken for it, the share `precision` was it."""

    samples: int
    recall: float | None
    precision: float | None
    mistaken: int | None
    """The other class that its samples are taken for most often."""
