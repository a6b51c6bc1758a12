"""Files and folders: written whole or not at all, read only if they end, locked, and temporary."""

from archspec._files.held import held_folder, remove_leftovers
from archspec._files.locks import folder_lock
from archspec._files.reading import check_file, open_file, read_bytes
from archspec._files.scratch import owned, remove_folder, scratch_folder
from archspec._files.writing import (
    atomic_file,
    check_destination,
    flush_folder,
    move_files,
    staging_folder,
    write_bytes,
    write_text,
)

__all__ = [
    "atomic_file",
    "check_destination",
    "check_file",
    "flush_folder",
    "folder_lock",
    "held_folder",
    "move_files",
    "open_file",
    "owned",
    "read_bytes",
    "remove_folder",
    "remove_leftovers",
    "scratch_folder",
    "staging_folder",
    "write_bytes",
    "write_text",
]
