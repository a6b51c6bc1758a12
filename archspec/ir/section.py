"""The base of every section of a spec: a mapping whose keys are its fields and no others."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of the spec: its keys are these fields and no others.

    `renamed` maps old keys to the fields that replaced them: a spec that uses one is told.
    """

    renamed: ClassVar[Mapping[str, str]] = {}

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False
    )
