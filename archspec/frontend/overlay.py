"""The effect of `extends`: one spec laid over another, on their trees."""

from __future__ import annotations

from archspec.frontend.tree import Tree, YamlMap, YamlScalar, is_null

SHALLOW = ("args", "blocks")
"""Sections whose entries are replaced whole; the other mappings are overlaid key by key."""

_OWN_KEYS = ("extends", "edit")
"""Keys of the file that states them: no variant inherits them."""


def overlay(base: YamlMap, top: YamlMap) -> YamlMap:
    """Return `top` over `base`: a null removes, a mapping merges, anything else replaces."""
    inherited = {key: entry for key, entry in base.entries.items() if key not in _OWN_KEYS}
    merged = YamlMap(inherited, top.source, top.start, top.end)
    for key, value in top:
        if key.text in _OWN_KEYS:
            continue
        below = merged.get(key.text)
        if key.text != "network" and isinstance(value, YamlMap) and isinstance(below, YamlMap):
            merged.put(key, _merge(below, value, deep=key.text not in SHALLOW))
        else:
            _put(merged, key, value)
    return merged


def _merge(base: YamlMap, top: YamlMap, deep: bool) -> YamlMap:
    merged = YamlMap(dict(base.entries), top.source, top.start, top.end)
    for key, value in top:
        below = merged.get(key.text)
        if deep and isinstance(value, YamlMap) and isinstance(below, YamlMap):
            merged.put(key, _merge(below, value, deep))
        else:
            _put(merged, key, value)
    return merged


def _put(merged: YamlMap, key: YamlScalar, value: Tree) -> None:
    # A null that removes nothing stays, so that its reader reports the missing value.
    if is_null(value) and key.text in merged.entries:
        del merged.entries[key.text]
    else:
        merged.put(key, value)
