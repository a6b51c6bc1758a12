"""How good a model's outputs are: loss, top-1, top-5, and which class is taken for which.

>>> import numpy as np
>>> scores = Scores(3)
>>> scores.add(np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]), np.array([0, 1]), loss=0.5)
>>> scores.top1, scores.confusion.tolist()
(0.5, [[1, 0, 0], [0, 0, 1], [0, 0, 0]])
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
else:
    from archspec import lazy_numpy as np


@dataclass(slots=True)
class Scores:
    """What is known after some batches; `confusion` counts by true class and by the one that was taken."""

    classes: int
    count: int = 0
    hits: int = 0
    near: int = 0
    total: float = 0.0
    confusion: Array = field(init=False)

    def __post_init__(self) -> None:
        self.confusion = np.zeros((self.classes, self.classes), np.int64)

    def add(self, outputs: Array, labels: Array, loss: float) -> None:
        """A batch of outputs [N, classes], the higher the likelier, its labels [N] and its mean loss.

        Outputs of one value [N, 1] are of the second of two classes. Of equal outputs the class that comes first wins.
        """
        flat = outputs.reshape(len(outputs), -1)
        if flat.shape[1] == 1:
            flat = np.concatenate([-flat, flat], axis=1)
        order = np.argsort(-flat, axis=1, kind="stable")
        right = order == labels.reshape(-1, 1)
        self.count += len(labels)
        self.hits += int(right[:, 0].sum())
        self.near += int(right[:, :5].sum())
        self.total += loss * len(labels)
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
        return self.total / max(self.count, 1)

    def summary(self) -> dict[str, float]:
        """The figures by name."""
        return {"loss": self.loss, "top1": self.top1, "top5": self.top5}
