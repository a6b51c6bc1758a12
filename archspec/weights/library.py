"""Models of installed libraries as sources of weights, written `torchvision:resnet18`.

>>> parse_library_model("torchvision:resnet18@IMAGENET1K_V1")
('torchvision', 'resnet18', 'IMAGENET1K_V1')
>>> parse_library_model("keras.applications:MobileNet")
('keras.applications', 'MobileNet', 'default')
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from archspec.backend import FileTensors, find, require, require_imports
from archspec.diagnostics import Failure, MissingPackage, library_words, quote
from archspec.weights.formats import FileKind, file_kinds

TRAINED = "default"
_MODEL = re.compile(r"(?P<library>[\w.]+):(?P<model>\w+)(@(?P<weights>\w+))?")


def parse_library_model(source: str) -> tuple[str, str, str] | None:
    """Return a library, a model of it, and the name of its weights; None for any other text."""
    match = _MODEL.fullmatch(source)
    return (match["library"], match["model"], match["weights"] or TRAINED) if match else None


def library_kind(source: Path) -> FileKind | None:
    """Return the kind of file that has the tensors of a library's model; None for a file."""
    parsed = parse_library_model(str(source))
    if parsed is None or source.exists():
        return None
    return next((k for k in file_kinds() if k.format and parsed[0] in k.format.libraries), None)


def read_library_model(source: str, kind: FileKind) -> FileTensors:
    """Return the tensors of a library's model, by its own names.

    The library builds the model, and may fetch its weights. Raise `Failure` if it cannot.
    """
    parsed = parse_library_model(source)
    assert parsed is not None
    assert kind.format is not None
    library, model, weights = parsed
    backend = find(kind.backend)
    require(backend)
    package = library.partition(".")[0]
    if find_spec(package) is None:
        raise MissingPackage(f"{package} is not installed", f"pip install {package}")
    try:
        return kind.format.libraries[library](model, weights)
    except Failure:
        raise
    except Exception as error:  # frameworks and the net raise what they like
        require_imports(backend, error)
        what = f"{library} does not give {quote(model)} with the weights {quote(weights)}"
        raise Failure(f"{what}: {library_words(error)}") from error
