"""What can be wrong with a host, as one error with a kind that programs can ask for."""

from __future__ import annotations

from dataclasses import dataclass

from hostler.errors import HostError, HostlerError, LockedError, Problem, RefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedKey:
    """A host key that was shown to us and that nobody vouches for yet."""

    name: str  # as it stands in known_hosts: gpu1.lan, [10.0.0.5]:2222
    kind: str  # ssh-ed25519
    base64: str
    fingerprint: str  # SHA256:...
    file: str = ""  # the known_hosts file to write it to


class HostTrouble(HostError):
    """A host cannot be reached, trusted or used. `kind` is one of hosts.types.Seen.error_kind."""

    kind: str = ""
    key: OfferedKey | None = None  # kind unknown-key: what `ssh.learn` may write down

    @property
    def problem(self) -> Problem:
        return self.problems[0]


class AgentError(HostTrouble):
    """The agent answered an error. `rc` is its exit status, `kind` its own word for it."""

    rc: int = 1


def trouble(
    kind: str,
    where: str,
    *,
    expected: str,
    got: str,
    next_step: str = "",
    detail: str = "",
    key: OfferedKey | None = None,
) -> HostTrouble:
    error = HostTrouble(Problem(where=where, expected=expected, got=got, next_step=next_step, detail=detail))
    error.kind, error.key = kind, key
    return error


def too_long(where: str, what: str, most: int) -> HostTrouble:
    """Of a host that sends without end."""
    return trouble(
        "protocol",
        where,
        expected=f"{what} of at most {most >> 20} MiB",
        got="more",
        next_step="see what the login, or hostler's agent, prints there without end: try `ssh HOST python3 -V`",
    )


def from_agent(where: str, op: str, answer: dict[str, object], rc: int) -> HostlerError:
    """The error that the agent's last line tells of: its own kinds keep their exit codes."""
    kind, message, step = (str(answer.get(k, "")) for k in ("error", "message", "next"))
    problem = Problem(
        where=where,
        expected=f"{op} to succeed",
        got=message or kind,
        next_step=step,
        detail=str(answer.get("log", "")),
    )
    if kind == "other-stack":
        return LockedError(problem)
    if kind == "refused":
        return RefusedError(problem)
    error = AgentError(problem)
    error.kind, error.rc = kind, rc
    return error
