"""The tools that `archspec stats` is compared with: `python -m benchmarks.peers fvcore`.

Every peer is a whole process. It builds torchvision's GoogLeNet without initialising its weights,
which is fastest, and counts one sample of 3x224x224.
"""

from __future__ import annotations

import sys
from typing import Any


def fvcore(model: Any) -> str:
    import torch
    from fvcore.nn import FlopCountAnalysis

    counted = FlopCountAnalysis(model, torch.zeros(1, 3, 224, 224))
    return str(counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def torchinfo(model: Any) -> str:
    from torchinfo import summary

    return str(summary(model, input_size=(1, 3, 224, 224), verbose=0))


def ptflops(model: Any) -> str:
    from ptflops import get_model_complexity_info

    return str(
        get_model_complexity_info(
            model, (3, 224, 224), print_per_layer_stat=False, as_strings=False
        )
    )


PEERS = {peer.__name__: peer for peer in (fvcore, torchinfo, ptflops)}


def main() -> None:
    from tests.helpers.torchvision_cpu import load

    print(PEERS[sys.argv[1]](load().models.googlenet(init_weights=False).eval()))


if __name__ == "__main__":
    main()
