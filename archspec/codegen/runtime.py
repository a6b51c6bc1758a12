"""Import emitted source: a built folder's own `model.py` is the model, and there is no other."""

from __future__ import annotations

import itertools
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any

_numbers = itertools.count()


class _TextLoader(SourceFileLoader):
    """Compile the text itself, and neither read nor write cached bytecode.

    A cache may stem from an earlier text of the same length and second, or from anybody.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def import_model(directory: Path) -> Any:
    """Import the `model.py` of a built folder and return the module."""
    path = Path(directory) / "model.py"
    # A unique name lets two builds load side by side, and lets pickle find the module again.
    name = f"archspec_model_{next(_numbers)}"
    spec = spec_from_file_location(name, path, loader=_TextLoader(name, str(path)))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
