"""What differs between the inputs that a resource has and those that it is to have."""

from collections.abc import Sequence

from .types import Type
from .values import Values, flatten, top, truth

DATA = ("userData", "userDataBase64")

type Change = tuple[str, str]  # property path, and ADD, DELETE or UPDATE, with _REPLACE


def changes(
    kind: Type, old: Values, new: Values, state: Values, default_tags: Values, ignored: Sequence[str]
) -> list[Change]:
    """Every leaf that differs: old inputs against new ones, the state filling in after an import."""
    have, want, live = flatten(old), flatten(new), flatten(state)
    if "tagsAll" in kind.computed:
        have |= flatten({"tagsAll": state.get("tagsAll") or {}})
        want |= flatten({"tagsAll": {**default_tags, **(new.get("tags") or {})}})
    found: list[Change] = []
    for path in sorted({**have, **want}):
        same = have.get(path) == want.get(path) or (path not in have and live.get(path) == want[path])
        if same or top(path) in ignored:
            continue
        what = "ADD" if path not in have else "DELETE" if path not in want else "UPDATE"
        by_data = top(path) in DATA and truth(new.get("userDataReplaceOnChange"))
        found.append((path, f"{what}_REPLACE" if kind.replaces(path) or by_data else what))
    return found
