"""Shrinks a spec while a condition holds, such as that two backends differ on it.

>>> network = "[relu, {max_pool: {kernel: 3, stride: 2}}, sigmoid]"
>>> text = f"archspec: 1\\nname: net\\ninput: [3, 8, 8]\\nnetwork: {network}\\n"
>>> print(shrink(text, lambda small: "max_pool" in small), end="")
archspec: 1
name: net
input: [1, 1, 1]
network: [{max_pool: {kernel: 1}}]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from archspec.diagnostics import Report, Source, SpecError
from archspec.frontend.tree import to_python
from archspec.frontend.yaml import parse_yaml
from archspec.frontend.yaml_writer import yaml_text

Path = tuple[Any, ...]
"""The keys and indices that lead to a part of the data."""


def shrink(text: str, holds: Callable[[str], bool], tries: int = 500) -> str:
    """Return the smallest valid spec for which `holds`, found in at most so many `tries`."""
    best = _data(text)
    if best is None:
        return text
    smallest = text
    while tries > 0:
        for candidate in _smaller(best):
            shorter = yaml_text(candidate)
            tries -= 1
            if _valid(shorter) and holds(shorter):
                best, smallest = candidate, shorter
                break
            if tries <= 0:
                break
        else:
            break
    return smallest


def _data(text: str) -> Any:
    tree = parse_yaml(Source("spec.yaml", text), Report())
    return None if tree is None else to_python(tree)


def _valid(text: str) -> bool:
    import tempfile
    from pathlib import Path as File

    from archspec.compiler import load

    with tempfile.TemporaryDirectory() as folder:
        path = File(folder) / "spec.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            load(path)
        except SpecError:
            return False
    return True


def _smaller(whole: Any) -> Iterator[Any]:
    """Yield all data that is one step smaller: without large parts first, small numbers last."""
    places = sorted(_places(whole, ()), key=lambda place: -_size(place[1]))
    yield from (
        _without_head(whole, path[1]) for path, _ in places if len(path) == 2 and path[0] == "heads"
    )
    for path, _ in places:
        if (path and path[0] not in ("archspec", "name", "input")) or (
            len(path) > 1 and path[0] == "network"
        ):
            yield _without(whole, path)
    for path, value in places:
        for simpler in _simpler(value):
            yield _with(whole, path, simpler)


def _places(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    yield path, value
    items: Any = ()
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
    elif isinstance(value, list):
        items = enumerate(cast("list[Any]", value))
    for key, inner in items:
        yield from _places(inner, (*path, key))


def _size(value: Any) -> int:
    return sum(1 for _ in _places(value, ()))


def _simpler(value: Any) -> Iterator[Any]:
    """Yield simpler values for one: the steps inside a step, or a smaller number."""
    match value:
        case bool():
            pass
        case int() if value > 1:
            yield from dict.fromkeys((1, value // 2, value - 1))
        case str() if "$" in value:
            yield from (1, 2, True)
        case list():
            items = cast("list[Any]", value)
            for at, item in enumerate(items):
                for _, held in _places(item, ()):
                    if held is not item and isinstance(held, list):
                        yield [*items[:at], *cast("list[Any]", held), *items[at + 1 :]]
        case _:
            pass


def _without_head(value: Any, name: Any, key: Any = None) -> Any:
    """Return the data without a head, and without its name at a step or in a row."""
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        rest = [
            (k, v)
            for k, v in items
            if (k, v) != ("aux", name) and not (key == "heads" and k == name)
        ]
        return {k: _without_head(v, name, k) for k, v in rest}
    if isinstance(value, list):
        return [
            None if item == name else _without_head(item, name) for item in cast("list[Any]", value)
        ]
    return value


def _without(whole: Any, path: Path) -> Any:
    key, *rest = path
    if isinstance(whole, dict):
        items = cast("dict[Any, Any]", whole).items()
        return {
            k: (_without(v, tuple(rest)) if k == key else v) for k, v in items if rest or k != key
        }
    items = enumerate(cast("list[Any]", whole))
    return [(_without(v, tuple(rest)) if i == key else v) for i, v in items if rest or i != key]


def _with(whole: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    key, *rest = path
    if isinstance(whole, dict):
        return {
            k: _with(v, tuple(rest), value) if k == key else v
            for k, v in cast("dict[Any, Any]", whole).items()
        }
    return [
        _with(v, tuple(rest), value) if i == key else v
        for i, v in enumerate(cast("list[Any]", whole))
    ]
