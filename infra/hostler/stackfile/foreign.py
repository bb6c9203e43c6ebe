"""What a stack file that came out of the record names of this machine, and this machine's own file does not: never read."""

from __future__ import annotations

from hostler.errors import StackFileError

from .sections import StackFile

NONE, ANOTHER = "none here", "another one here"


def refuse(file: StackFile, path: str) -> None:
    """Raises StackFileError where the value of `path` is needed, and only the record says where it comes from. What the
    record says is not repeated: nobody is to copy it without a look at where it leads."""
    if path in file.foreign:
        raise StackFileError.of(
            file.where(path),
            expected="the same as before the change; where this machine gets it from says its own stack file alone, not "
            "the copy in the record on the gateway's host",
            got=file.foreign[path],
            next_step=f"put {path} back into this file as it was",
        )
