"""numpy, imported on first use, so that commands which only count never pay for it.

>>> from archspec._numpy import np
>>> np.zeros(2).tolist()
[0.0, 0.0]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
else:

    class _LazyNumpy:
        def __getattr__(self, name: str) -> Any:
            import numpy

            return getattr(numpy, name)

    np = _LazyNumpy()
    Array = Any  # annotations alone name it, and they are not evaluated

__all__ = ["Array", "np"]
