"""The only place where words become a shell line."""

from __future__ import annotations

import secrets
import shlex
from dataclasses import dataclass

from .transport import Argv
from .trouble import HostTrouble, trouble

CANNOT = 126  # rc of AS_ROOT when there is no way to become root; the mark on stderr says why

# "$1" is a mark that nobody can guess, the rest is the command.
AS_ROOT = """
mark=$1; shift
if [ "$(id -u)" = 0 ]; then exec "$@"; fi
command -v sudo >/dev/null 2>&1 || { echo "$mark missing" >&2; exit 126; }
sudo -n true 2>/dev/null || { echo "$mark password" >&2; exit 126; }
exec sudo -n -- "$@"
""".strip()

REPLACE = """
folder=$(dirname -- "$1") && new=$(mktemp -- "$folder/.hostler-XXXXXXXX") || exit 1
if cat >"$new" && chmod -- "$2" "$new" && mv -f -- "$new" "$1"; then exit 0; fi
rm -f -- "$new"; exit 1
""".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A command ready to run: `argv` for exec, `line` for a remote login shell."""

    argv: tuple[str, ...]
    mark: str = ""

    @property
    def line(self) -> str:
        return shlex.join(self.argv)

    def refusal(self, host: str, rc: int, stderr: bytes) -> HostTrouble | None:
        """Why the command was never started: becoming root was not possible."""
        head, _, why = stderr.decode("utf-8", "replace").strip().partition(" ")
        if not self.mark or rc != CANNOT or head != self.mark:
            return None
        if why == "missing":
            return trouble(
                "sudo",
                host,
                expected="to be root, or sudo",
                got="another user and no sudo",
                next_step="log in as root (`user: root` in the stack file), or install sudo and let the user use it",
            )
        return trouble(
            "sudo",
            host,
            expected="sudo without a password",
            got="sudo that asks for one, or refuses this user",
            next_step="as root there: echo 'USER ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/hostler (USER: who logs in)",
        )


def prepare(argv: Argv, *, root: bool) -> Prepared:
    if not root:
        return Prepared(argv=tuple(argv))
    mark = "hostler-" + secrets.token_hex(8)
    return Prepared(argv=("sh", "-c", AS_ROOT, "sh", mark, *argv), mark=mark)


def replace_file(path: str, mode: int) -> tuple[str, ...]:
    """Words that put stdin in place of `path` in one step."""
    return ("sh", "-c", REPLACE, "sh", path, f"{mode:04o}")
