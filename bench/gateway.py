"""The gateway against the engine directly, in one run: `python bench/gateway.py`.

On loopback, with a stub engine that costs next to nothing: directly, through the gateway, and through the
gateway and an edge with mutual TLS. One JSON row a way on stdout; takes about 40 seconds.

The stub, like llama-server, closes its connection after a stream. `keep` rows are of an engine that is known not to.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP / "infra"), str(TOP / "tests")]

from contract.gateway.rig import KEY, Rig, free_port, listens, until  # noqa: E402
from hostler.gateway.specs import Route, ServedModel  # noqa: E402

SECONDS = 1.0  # of one measurement
ROUNDS = 3  # the ways take turns, so that a busy neighbour disturbs all alike


@dataclass(frozen=True)
class Way:
    name: str
    address: str


def quick() -> Path:
    """The stub and client, built once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hostler-lab" / "quick"
    source = TOP / "tests" / "tools" / "quick"
    if not cache.exists() or cache.stat().st_mtime < (source / "main.go").stat().st_mtime:
        cache.parent.mkdir(parents=True, exist_ok=True)
        env = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
        subprocess.run(["go", "build", "-o", cache, "."], cwd=source, env=env, check=True)
    return cache


def gateway(rig: Rig, name: str, *routes: Route, sleeps: bool = False) -> Way:
    rig.port = free_port()
    rig.ports = type(rig.ports)(gateway_metrics=free_port(), edge_metrics=free_port(), health=free_port())
    model = ServedModel(name="chat", replicas=routes, sleeps=sleeps)
    spec = rig.spec(model, paths=rig.paths(f"gateway-{len(rig.proxies)}", "gpu-1"))
    proxy = rig.gateway(spec)
    until(lambda: set(proxy.states().values()) == {"UP"})
    return Way(name, f"127.0.0.1:{rig.port}")


def ways(rig: Rig, engine: int) -> list[Way]:
    rig.make("gateway", "gpu-1")
    rig.make("edge", "gpu-2")
    far = Route(id="chat-0", host="gpu-2", port=engine, edge_address="127.0.0.1", edge_port=free_port())
    rig.edge(rig.edge_spec("gpu-2", far.edge_port, far))
    near = {"id": "chat-0", "host": "gpu-1", "port": engine}
    return [
        Way("direct", f"127.0.0.1:{engine}"),
        gateway(rig, "gateway", Route(**near)),
        gateway(rig, "gateway, keep", Route(**near, keep_alive=True)),
        gateway(rig, "gateway and edge", far),
    ]


def measured(program: Path, way: Way) -> dict[str, float]:
    def ask(what: str, clients: int) -> dict[str, Any]:
        words = [program, what, way.address, str(clients), str(SECONDS), KEY]
        return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    one, many, streams = ask("load", 1), ask("load", 16), ask("first", 4)
    return {"p50_ms": one["p50_ms"], "first_token_ms": streams["p50_ms"], "rate_c16": many["rate"]}


def row(way: Way, mine: dict[str, float], direct: dict[str, float]) -> dict[str, Any]:
    return {
        "way": way.name,
        **{name: round(value, 3) for name, value in mine.items()},
        "added_p50_ms": round(mine["p50_ms"] - direct["p50_ms"], 3),
        "added_first_token_ms": round(mine["first_token_ms"] - direct["first_token_ms"], 3),
        "of_direct_rate": round(mine["rate_c16"] / direct["rate_c16"], 3),
    }


def main() -> None:
    program, engine = quick(), free_port()
    stub = subprocess.Popen([program, "serve", str(engine)])
    try:
        until(lambda: listens(engine))
        with closing(Rig()) as rig:
            found = ways(rig, engine)
            rounds = [{way: measured(program, way) for way in found} for _ in range(ROUNDS)]
    finally:
        stub.kill()
        stub.wait()
    middle = {
        way: {name: statistics.median(turn[way][name] for turn in rounds) for name in rounds[0][way]}
        for way in found
    }
    for way in found:
        print(json.dumps(row(way, middle[way], middle[found[0]])))


if __name__ == "__main__":
    main()
