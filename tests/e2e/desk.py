"""An operator's desk: the installed `hostler` on a lab operator's machine, with a stack file at hand."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.hosts import Host
from lab.lab import Lab
from lab.operators import Operator

ROOT = Path(__file__).resolve().parents[2]
LAB_STACK = (ROOT / "stacks" / "lab.yaml").read_text(encoding="utf-8")
UP_S = 420


@dataclass(frozen=True)
class Done:
    """A finished `hostler` with its words."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def changes(self) -> list[dict[str, str]]:
        """The changes of a plan, Pulumi's own left out."""
        return [change for change in self.json["changes"] if change["part"] != "pulumi"]

    def __str__(self) -> str:
        return f"hostler {' '.join(self.words)} -> {self.code}\n--- stdout\n{self.out[-6000:]}\n--- stderr\n{self.err[-6000:]}"


@dataclass
class Desk:
    """`desk("up", "--yes")` runs hostler; the code that is expected is part of the call."""

    lab: Lab
    operator: Operator
    hostler: Path
    pulumi: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])
    before: dict[str, frozenset[str]] = field(
        default_factory=dict[str, frozenset[str]]
    )  # hosts as they were found
    first: Done | None = None  # the very first `up`

    @property
    def file(self) -> Path:
        return self.operator.home / "lab.yaml"

    def write(self, text: str = LAB_STACK) -> None:
        self.file.write_text(text, encoding="utf-8")

    def edit(self, old: str, new: str) -> None:
        text = self.file.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in the stack file"
        self.write(text.replace(old, new))

    def words(self, *words: str) -> list[str]:
        verb = 2 if words[0] in ("key", "rollout") else 1
        named = [] if words[0] in ("init", "--version", "--help") else ["-f", str(self.file)]
        return [str(self.hostler), *words[:verb], *named, *words[verb:]]

    def env(self) -> dict[str, str]:
        return {"HOSTLER_PULUMI": str(self.pulumi), **self.environment}

    def __call__(
        self, *words: str, code: int | Sequence[int] = 0, timeout: float = UP_S, stdin: str = ""
    ) -> Done:
        done = self.operator.run(self.words(*words), env=self.env(), timeout=timeout, stdin=stdin)
        result = Done(words, done.returncode, done.stdout, done.stderr)
        allowed = (code,) if isinstance(code, int) else tuple(code)
        assert result.code in allowed, f"expected exit {code}\n{result}"
        return result

    def start(self, *words: str, **how: Any) -> subprocess.Popen[str]:
        return self.operator.popen(self.words(*words), env=self.env(), **how)

    def plan(self) -> list[dict[str, str]]:
        return self("plan", "--json").changes

    def up(self, *words: str, code: int | Sequence[int] = 0) -> Done:
        return self("up", "--yes", *words, code=code)

    def connection(self) -> Mapping[str, Any]:
        return self("connect", "--json").json

    def python(
        self, code: str, *, timeout: float = 120, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """A client's program, with the libraries of the test environment, on the operator's machine."""
        import sys

        found = self.connection()
        env = {"ADDRESS": f"{found['address']}/v1", "KEY": found["key"]}
        if found["ca"]:
            authority = self.operator.home / "authority.pem"
            authority.write_text(found["ca"])
            env["SSL_CERT_FILE"] = str(authority)
        done = self.operator.run([sys.executable, "-c", code], env=env, timeout=timeout)
        assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done

    def ask(self, text: str = "What is the capital of France? Answer in one short sentence.") -> str:
        """One chat through the gateway with the openai client."""
        done = self.python(
            "import os, openai\n"
            "client = openai.OpenAI(base_url=os.environ['ADDRESS'], api_key=os.environ['KEY'])\n"
            f"answer = client.chat.completions.create(model='chat', max_tokens=32, temperature=0,\n"
            f"    messages=[{{'role': 'user', 'content': {text!r}}}])\n"
            "print(answer.choices[0].message.content)"
        )
        return done.stdout.strip()


def container(host: Host, identity: str) -> str:
    """The running container's id, empty where none runs."""
    return host.run(["docker", "ps", "-q", "--no-trunc", "-f", f"name=^hostler-{identity}$"]).stdout.strip()


def replica_of(host: Host) -> str:
    """The replica that runs on a host."""
    names = host.run(["docker", "ps", "--format", "{{.Names}}"]).stdout.split()
    return next(name.removeprefix("hostler-") for name in names if name.startswith("hostler-chat-"))
