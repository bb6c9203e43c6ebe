"""Turns of the controller, and what it keeps on the gateway's host."""

from __future__ import annotations

import json
from typing import Any

from e2e.desk import Desk
from lab.hosts import Host

STATE = "/var/lib/hostler/controller/state"
TURN_S = 600
SECTION = """
updates:
  engines: daily
  models: daily
  min_age: 0s
  bake: 0s
  window: {window}
  notify: [{{command: "cat >> /state/told; echo >> /state/told"}}]
"""
ALWAYS = "00:00-00:00 UTC"


def switched_on(desk: Desk, window: str = ALWAYS, **changes: str) -> str:
    """`up` with a controller in the stack file; what it said."""
    text = SECTION.format(window=json.dumps(window))
    for key, value in changes.items():
        line = next(line for line in text.splitlines() if line.strip().startswith(key + ":"))
        text = text.replace(line, f"  {key}: {value}")
    whole = desk.file.read_text().partition("\nupdates:")[0]
    desk.write(whole.rstrip() + text)
    return desk.up().err


def turn(host: Host, *, look: bool = True) -> dict[str, Any]:
    """One turn; what it says of itself. `look`: registries and hubs are asked, however short ago they were."""
    if look:
        remember(host, looked=0.0)
    host.run(["systemctl", "start", "hostler-updates.service"], timeout=TURN_S, check=False)
    return status(host)


def status(host: Host) -> dict[str, Any]:
    return json.loads(host.run(["cat", f"{STATE}/status.json"]).stdout)


def kept(host: Host) -> dict[str, Any]:
    found = host.run(["cat", f"{STATE}/state.json"], check=False).stdout
    return json.loads(found or "{}")


def remember(host: Host, **values: Any) -> None:
    """As if its memory were another: time passes."""
    state = kept(host)
    if state:
        host.run(["tee", f"{STATE}/state.json"], stdin=json.dumps(state | values))


def told(host: Host) -> list[dict[str, Any]]:
    lines = host.run(["cat", f"{STATE}/told"], check=False).stdout.splitlines()
    return [json.loads(line) for line in lines if line.strip()]
