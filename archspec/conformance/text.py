"""Data as YAML text that reads back as the same data, whatever its strings hold.

>>> print(yaml_text({"name": "no", "rows": [["1e-3", "a: b", None, 1e-3]]}), end="")
name: no
rows:
- ["1e-3", "a: b", ~, 0.001]
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from archspec.spec.yaml import resolve

_PLAIN = re.compile(r"[A-Za-z0-9_$./][A-Za-z0-9_$./ -]*")


class _Dumper(yaml.SafeDumper):
    """Writes strings plainly only where YAML 1.2 reads them as strings; repeats what is shared instead of aliasing it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(value) and value == value.strip() and isinstance(resolve(value), str)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


def _null(dumper: yaml.SafeDumper, _: None) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:null", "~")


_Dumper.add_representer(str, _string)
_Dumper.add_representer(type(None), _null)


def yaml_text(data: Any) -> str:
    """The text, with the innermost collections on one line each."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=10**9, default_flow_style=None)
