"""What it costs that requests could be held, when nothing sleeps: `python bench/holding.py`.

Three gateways before one stub engine, asked in turns: one whose model never sleeps, the same once more, by which one sees
what this machine calls the same, and one whose model may sleep. JSON on stdout; takes about 40 seconds.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles

from gateway import KEY, Rig, Route, Way, free_port, gateway, listens, quick, until

SECONDS = 0.5  # of one measurement
ROUNDS = 12
CLIENTS = (1, 16)
PLAIN, AGAIN, HOLDS = "plain", "again", "holds"

type Figures = dict[str, float]


def measured(program: Path, way: Way) -> Figures:
    """Milliseconds: {"c1_p50", "c1_p95", "c16_p50", "c16_p95"}."""
    found: Figures = {}
    for clients in CLIENTS:
        words = [program, "load", way.address, str(clients), str(SECONDS), KEY]
        said = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        found |= {f"c{clients}_{which}": said[f"{which}_ms"] for which in ("p50", "p95")}
    return found


def compared(rounds: list[dict[str, Figures]], way: str) -> dict[str, dict[str, float]]:
    """Of each figure the ratio to the plain gateway of the same round: its median, and its quartiles."""
    found: dict[str, dict[str, float]] = {}
    for figure in rounds[0][PLAIN]:
        ratios = [turn[way][figure] / turn[PLAIN][figure] for turn in rounds]
        low, middle, high = quantiles(ratios, n=4)
        found[figure] = {"ratio": middle, "low": low, "high": high}
        found[figure]["ms"] = median(turn[way][figure] for turn in rounds)
    return found


def main() -> None:
    program, engine = quick(), free_port()
    stub = subprocess.Popen([program, "serve", str(engine)])
    try:
        until(lambda: listens(engine))
        with closing(Rig()) as rig:
            rig.make("gateway", "gpu-1")
            near = Route(id="chat-0", host="gpu-1", port=engine)
            ways = [gateway(rig, name, near, sleeps=name == HOLDS) for name in (PLAIN, AGAIN, HOLDS)]
            rounds = [
                {way.name: measured(program, way) for way in ways[turn % 3 :] + ways[: turn % 3]}
                for turn in range(ROUNDS)
            ]
    finally:
        stub.kill()
        stub.wait()
    print(json.dumps({way: compared(rounds, way) for way in (AGAIN, HOLDS)}))


if __name__ == "__main__":
    main()
