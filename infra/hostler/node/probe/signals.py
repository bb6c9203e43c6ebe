"""What an engine says of itself on loopback: health, requests, tokens, context. Never /slots (it resets sleep timers)."""

from __future__ import annotations

import http.client
import json
import os
import threading
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..base import engines, files, wire
from ..base.protocol import as_dict
from ..exchange import starts
from ..replica import asleep, version
from ..watch import watched

LIMIT = 1.0  # seconds for each question
METRICS = {"running": engines.RUNNING, "waiting": engines.WAITING}


def specification(identity: str) -> Optional[Dict[str, Any]]:
    """What the instance runs, else what it is to run; None when neither is known."""
    for folder in (files.APPLIED, files.WANTED):
        found = files.read_json("%s/%s.json" % (folder, identity))
        if isinstance(found, dict):
            return as_dict(found)
    return None


def replicas(identities: List[str]) -> Dict[str, Any]:
    """id -> signals, None: no such instance, or a str: why it is unknown. All are asked at once."""
    found: Dict[str, Any] = {}

    def one(identity: str) -> None:
        try:
            found[identity] = replica(identity)
        except Exception as error:  # noqa: BLE001 - of one replica; the others go on
            found[identity] = "could not be asked: %s" % error

    threads = [threading.Thread(target=one, args=(identity,), daemon=True) for identity in identities]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4 * LIMIT)
    return {identity: found.get(identity, "no answer in time") for identity in identities}


def replica(identity: str) -> Any:
    container = specification(identity)
    if container is None:
        return None
    port = int(container.get("port") or 0)
    health = as_dict(container.get("health"))
    if not port:
        return "it has no port to ask"
    code, _ = ask(port, str(health.get("path") or "/health"))
    seen: Dict[str, Any] = {"health": code, "draining": os.path.exists(files.at(files.DRAIN, identity))}
    seen.update(dict.fromkeys(("running", "waiting", "tokens", "context")))
    if past := starts.past(container):
        seen.update(start_s=max(past), start_of=version.model_path(container))
    seen["watch"] = watched.seen(identity)
    seen["asleep"] = asleep.read(identity)
    if code:
        seen.update(counters(ask(port, "/metrics")[1]))
        seen["context"] = context(port)
    return seen


def ask(port: int, path: str) -> Tuple[int, str]:
    """Status and body of a GET on loopback; status 0: no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(4 << 20).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def counters(text: str) -> Dict[str, Any]:
    """running, waiting and tokens of a Prometheus page; what it does not name is None."""
    sums: Dict[str, float] = {}
    for name, value in wire.SAMPLE.findall(text):
        sums[name] = sums.get(name, 0.0) + _number(value)
    found: Dict[str, Any] = {key: _first(sums, names) for key, names in METRICS.items()}
    tokens = [sums[name] for name in engines.TOKENS if name in sums]
    found["tokens"] = int(sum(tokens)) if tokens else None
    return found


def context(port: int) -> Optional[int]:
    """Tokens that a request has: llama-server's n_ctx of a slot, or vLLM's max_model_len."""
    props = _json(ask(port, "/props"))
    tokens = as_dict(props.get("default_generation_settings")).get("n_ctx")
    if isinstance(tokens, int):
        return tokens
    if isinstance(props.get("n_ctx"), int):
        return props["n_ctx"] // max(int(props.get("total_slots") or 1), 1)
    models: List[Any] = _json(ask(port, "/v1/models")).get("data") or [{}]
    length = as_dict(models[0]).get("max_model_len")
    return length if isinstance(length, int) else None


def _json(answer: Tuple[int, str]) -> Dict[str, Any]:
    try:
        return as_dict(json.loads(answer[1])) if answer[0] == 200 else {}
    except ValueError:
        return {}


def _first(sums: Mapping[str, float], names: Tuple[str, ...]) -> Optional[int]:
    return next((int(sums[name]) for name in names if name in sums), None)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
