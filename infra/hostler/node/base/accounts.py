"""Accounts and groups, and commands whose failure is an error."""

from __future__ import annotations

import pwd
import re
from typing import Any, Callable, Dict, List, Optional

from . import files, shell
from .protocol import REFUSED, NodeError

STATE = "/var/lib/hostler"  # home of the account that the base role makes
NO_LOGIN = ("nologin", "false")
SYSTEM_MAX = 999  # highest id of a system account, where login.defs says no other


def look(name: str) -> Optional[Dict[str, Any]]:
    """hosts.types.Seen's `account:`."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return {
        "uid": entry.pw_uid,
        "home": entry.pw_dir,
        "shell": entry.pw_shell,
        "like_ours": _like_ours(entry),
    }


def _like_ours(entry: pwd.struct_passwd) -> bool:
    """A system account that nobody can log in to, at home where ours is."""
    system = 0 < entry.pw_uid <= _system_max()
    return system and entry.pw_dir == STATE and entry.pw_shell.rpartition("/")[2] in NO_LOGIN


def _system_max() -> int:
    found = re.search(r"^SYS_UID_MAX\s+(\d+)", files.read_text("/etc/login.defs"), re.MULTILINE)
    return int(found.group(1)) if found else SYSTEM_MAX


def refuse_login(before: Optional[Dict[str, Any]]) -> None:
    """The base role would change an account of our name, its home and its shell: it must not be somebody's.
    `before`: the baseline; an account that is not in it is the one that we made."""
    names: List[str] = [files.ACCOUNT] if before is None else before.get("accounts", [])
    found = look(files.ACCOUNT) if files.ACCOUNT in names else None
    if found and not found["like_ours"]:
        raise NodeError(
            "account",
            "expected no account %s, or a system account without login; got uid %d, home %s, shell %s"
            % (files.ACCOUNT, found["uid"], found["home"], found["shell"] or "(the default)"),
            "rename that account, or take this host out of the stack",
            rc=REFUSED,
        )


def has_account(name: str) -> bool:
    return shell.run(("getent", "passwd", name)).ok


def has_group(name: str) -> bool:
    return shell.run(("getent", "group", name)).ok


def ran(*words: str, stdin: bytes = b"", limit_s: float = 30.0) -> Callable[[], None]:
    """A command for later; it raises NodeError with the command's own last line."""

    def run() -> None:
        result = shell.run(words, limit_s, stdin)
        if not result.ok:
            raise NodeError("failed", result.why)

    return run
