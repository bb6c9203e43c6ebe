"""Who is told: webhooks and commands of `updates.notify` and `alarms`. One that cannot be told holds nothing up."""

from __future__ import annotations

import http.client
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from hostler.console.out import Out
from hostler.errors import HostlerError
from hostler.rollout import secret
from hostler.stackfile.outside import Notify
from hostler.stackfile.sections import StackFile

LIMIT_S = 15.0
TRIES = 3


def tell(file: StackFile, out: Out, event: str, text: str, details: Mapping[str, Any]) -> None:
    """What updates came to: to those of `updates.notify`, and of `alarms`."""
    updates = file.stack.updates
    who = {f"updates.notify[{at}]": one for at, one in enumerate(updates.notify if updates else ())}
    known = set(who.values())
    who |= {path: one for path, one in _alarms(file).items() if one not in known}
    _tell(file, out, event, text, details, who)


def alarm(file: StackFile, out: Out, event: str, text: str, details: Mapping[str, Any]) -> None:
    """To those of `alarms`."""
    _tell(file, out, event, text, details, _alarms(file))


def _alarms(file: StackFile) -> dict[str, Notify]:
    return {f"alarms[{at}]": one for at, one in enumerate(file.stack.alarms)}


def _tell(
    file: StackFile, out: Out, event: str, text: str, details: Mapping[str, Any], who: Mapping[str, Notify]
) -> None:
    """Says it to each, and in the journal. `text` alone says it all: chats show that key of a webhook's message."""
    out.say(text)
    body = {
        "stack": file.stack.stack,
        "event": event,
        "text": f"{file.stack.stack}: {text}",
        "details": dict(details),
    }
    for path, one in who.items():
        if why := _told(file, one, json.dumps(body).encode()):
            out.say(f"warning: {path} could not be told: {why}")


def _told(file: StackFile, one: Notify, body: bytes) -> str:
    """Empty, or why not; never an address, which may hold a token."""
    if one.command:
        return _commanded(one.command, body)
    try:
        address = secret.value(file, one.secret) if one.secret else one.url or ""
        for attempt in Retrying(
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential(max=10),
            retry=retry_if_exception_type(OSError),
            reraise=True,
        ):
            with attempt:
                _posted(address, body)
    except urllib.error.HTTPError as error:
        with error:  # it holds the connection
            return f"it answers {error.code}"
    except OSError as error:
        return str(getattr(error, "reason", "") or error.strerror or type(error).__name__)
    except (ValueError, http.client.HTTPException, HostlerError):
        return "its address, or its answer, cannot be used"
    return ""


def _posted(address: str, body: bytes) -> None:
    if not address.startswith(("https://", "http://")):
        raise ValueError
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"}, method="POST")  # noqa: S310 - looked at above
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:  # noqa: S310
        answer.read(1 << 16)


def _commanded(command: str, body: bytes) -> str:
    """The user's own shell line from the user's own file."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command], input=body, capture_output=True, timeout=LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return f"its command did not end in {LIMIT_S:.0f} s"
    return f"its command ended with {done.returncode}" if done.returncode else ""
