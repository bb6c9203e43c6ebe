"""Ansible's story in our words: one event a host and task."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["started", "ok", "changed", "skipped", "waiting", "failed", "unreachable", "said"]
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`answer` is what the host's agent said last, where it was asked; `log` are a container's last lines."""

    host: str
    task: str
    status: Status
    part: str = ""
    message: str = ""
    item: str = ""
    detail: str = ""
    next_step: str = ""
    outcome: str = ""  # of an exchange: restored, refused, ...


def event_of(line: Mapping[str, Any]) -> Event | None:
    """None for what says nothing to a person."""
    kind = str(line["event"])
    if kind in ("error", "verbose"):
        text = COLOURS.sub("", str(line.get("stdout", ""))).strip()
        return Event(host="", task="", status="said", message=text) if text else None
    if (status := status_of(kind, line)) is None:
        return None
    result: Mapping[str, Any] = line.get("res") or {}
    answer = answer_of(result)
    failed = status in ("failed", "unreachable")
    return Event(
        host=str(line.get("host", "")),
        task=str(line.get("task", "")),
        part=str(line.get("role", "")),
        status=status,
        item=item_of(result),
        message=reason(result, answer) if failed else said(answer),
        detail=detail_of(result, answer) if failed else "",
        next_step=str(answer.get("next", "")) if failed else "",
        outcome=str(answer.get("outcome", "")),
    )


def status_of(kind: str, line: Mapping[str, Any]) -> Status | None:
    result: Mapping[str, Any] = line.get("res") or {}
    match kind:
        case "runner_on_start":
            return "started"
        case "runner_on_ok" | "runner_item_on_ok":
            return "changed" if result.get("changed") else "ok"
        case "runner_on_failed" | "runner_item_on_failed":
            return "ok" if line.get("ignore_errors") else "failed"
        case "runner_on_unreachable":
            return "unreachable"
        case "runner_on_skipped":
            return "skipped"
        case "runner_retry":
            return "waiting"
        case _:
            return None


def answer_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the agent said last: a JSON object, in stdout or passed on as a message."""
    for text in (result.get("stdout"), result.get("msg")):
        last = str(text or "").strip().rpartition("\n")[2]
        if last.startswith("{"):
            try:
                found = json.loads(last)
            except ValueError:
                continue
            return dict(found)
    return {}


def item_of(result: Mapping[str, Any]) -> str:
    item = result.get("item")
    return str(item) if isinstance(item, str) else str(item.get("path", "")) if isinstance(item, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def said(answer: Mapping[str, Any]) -> str:
    outcome, why = str(answer.get("outcome", "")), str(answer.get("why", ""))
    return ": ".join(text for text in (outcome, why) if text)


def reason(result: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """The real error in one line."""
    if answer.get("message"):
        return str(answer["message"])
    for key in ("stderr", "module_stderr", "reason"):
        if lines := str(result.get(key) or "").strip().splitlines():
            return lines[-1]
    return str(result.get("msg") or result.get("censored") or "no reason given").strip().splitlines()[0]


def detail_of(result: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """More lines: a container's log, else what the command printed."""
    if log := answer.get("log"):
        return "\n".join(map(str, log)) if isinstance(log, list) else str(log)  # pyright: ignore[reportUnknownArgumentType]
    texts = [
        str(result.get(key) or "").strip() for key in ("stderr", "module_stderr", "stdout", "module_stdout")
    ]
    return "\n".join(text for text in texts if text and not text.startswith("{"))[-4000:]
