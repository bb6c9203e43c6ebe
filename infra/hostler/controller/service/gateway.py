"""The gateway's own process, asked and told on its host: who waits for a model, and what it says of those that sleep."""

from __future__ import annotations

import csv
import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hostler.gateway import runtime
from hostler.gateway.specs import GATEWAY
from hostler.money.refusing import Told

RUN, STATES, SPENT = Path(GATEWAY.run), Path(GATEWAY.states).name, Path(GATEWAY.spent).name
LIMIT_S = 3.0
AGAIN_S = 20.0  # models.lua does not believe what is older than a minute
REPAIRED_S = 5.0  # between two looks whether the gateway refuses whom it should


class Gateway:
    """`run`: the folder of its sockets, which the controller's container has as well."""

    def __init__(self, run: Path = RUN) -> None:
        self._run = run
        self._said: tuple[str, float] = ("", 0.0)
        self._refused: tuple[Mapping[str, Told] | None, float] = (None, 0.0)
        self._lock, self._closed = threading.Lock(), False

    def waiting(self, model: str) -> int:
        """Requests that it holds for a model, or has queued. Raises OSError, ValueError: it does not say."""
        own = {f"model_{model}", f"held_{model}"}
        rows = [row for row in self._stat() if row["pxname"] in own]
        if not rows:
            raise ValueError(f"the gateway does not know {model}")
        queued = sum(_whole(row, "qcur") for row in rows if row["svname"] == "BACKEND")
        away = ("held", "holder", "wait", "moved")  # servers that are no replicas
        return queued + sum(_whole(row, "scur") for row in rows if row["svname"] in away)

    def tell(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """For /v1/models: {model: {"state", "eta_s"}}. Written whole or not at all: when it is another, and now and then.
        Raises OSError."""
        with self._lock:
            if not self._closed:
                self._tell(states)

    def close(self) -> None:
        """Nothing is said any more: a successor's word stays."""
        with self._lock:
            self._closed = True
            self._tell({})

    def _tell(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        text = json.dumps({name: dict(one) for name, one in sorted(states.items())})
        path, now = self._run / STATES, time.monotonic()
        said, at = self._said
        if text == said and now - at < AGAIN_S and path.exists():
            return
        self._write(path, f'{{"at": {int(time.time())}, "models": {text}}}')
        self._said = (text, now)

    def refuse(self, keys: Mapping[str, Told]) -> None:
        """Those by name, and no others: in the map's file, for when it starts or is loaded anew, then in its running
        process; now and then whether both still are so. Raises OSError: it does not run (the file is written), or the folder
        cannot be written; ValueError: it said no."""
        with self._lock:
            before, at = self._refused
            if self._closed or (keys == before and time.monotonic() - at < REPAIRED_S):
                return
            self._refused = (None, 0.0)
            self._refuse({name: (one.until, one.text) for name, one in keys.items()})
            self._refused = (dict(keys), time.monotonic())

    def _refuse(self, rows: Mapping[str, tuple[float, str]]) -> None:
        path, text = self._run / SPENT, runtime.spent_map(rows)
        if not path.exists() or path.read_bytes() != text.encode():
            self._write(path, text)
        for command in runtime.sync_spent(str(path), rows, self.command(runtime.show_spent(str(path)))):
            if answer := self.command(command).strip():
                raise ValueError(answer)

    def _write(self, path: Path, text: str) -> None:
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(path)

    def _stat(self) -> list[dict[str, str]]:
        answer = self.command("show stat")
        lines = [line for line in answer.lstrip("# ").splitlines() if line.strip()]
        return [dict(row) for row in csv.DictReader(lines)]

    def command(self, words: str) -> str:
        """One command of the runtime socket, and its answer. Raises OSError."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as there:
            there.settimeout(LIMIT_S)
            there.connect(str(self._run / "admin.sock"))
            there.sendall(words.encode() + b"\n")
            parts: list[bytes] = []
            while part := there.recv(65536):
                parts.append(part)
        return b"".join(parts).decode("utf-8", "replace")


def _whole(row: Mapping[str, str], column: str) -> int:
    value = row.get(column) or "0"
    return int(value) if value.isdigit() else 0
