"""numpy, imported on first use, so that commands which only count never pay for it.

>>> from archspec import lazy_numpy as np
>>> np.zeros(2).tolist()
[0.0, 0.0]
"""

from typing import Any


def __getattr__(name: str) -> Any:
    import numpy

    return getattr(numpy, name)
