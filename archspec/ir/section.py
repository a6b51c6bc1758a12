"""The base of every section of a spec."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of the spec: its keys are these fields and no others."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False
    )
