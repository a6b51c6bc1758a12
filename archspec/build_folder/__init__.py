"""The folder that a build writes: its manifest, how it is put in place, and who may run it."""

from archspec.build_folder.folder import check_replaceable, replace_folder
from archspec.build_folder.manifest import (
    MANIFEST,
    WEIGHTS,
    BuildManifest,
    ModelManifest,
    manifest_text,
    read_manifest,
    read_model_manifest,
)
from archspec.build_folder.trust import UntrustedBuild, check_trusted, record_build

__all__ = [
    "MANIFEST",
    "WEIGHTS",
    "BuildManifest",
    "ModelManifest",
    "UntrustedBuild",
    "check_replaceable",
    "check_trusted",
    "manifest_text",
    "read_manifest",
    "read_model_manifest",
    "record_build",
    "replace_folder",
]
