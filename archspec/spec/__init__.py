"""From YAML to a checked graph: `load` reads a spec and what it extends, and raises every error it finds at once."""

from archspec.spec.loader import Spec, check, load

__all__ = ["Spec", "check", "load"]
