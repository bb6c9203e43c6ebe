"""`make bench`: every row a ratio of one run on this machine, into bench/results.md and the README.

run.py [noop cold weights words placement gateway]: only these rows are measured anew; the others stay as they were.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cold
import noop
import placement
import weights
import words
from report import Row, figure, write
from stand import TOP, Tools, say

from tools.pulumi_cli import pulumi_cli
from tools.wheel import installed


def noop_rows(tools: Tools, work: Path) -> list[Row]:
    found = noop.measured(tools, work)
    ours = found["hostler"]
    return [
        Row("`hostler up`, nothing to do, 8 hosts", figure(ours, "s"), "under 2 s"),
        Row(
            "the same by `ansible-playbook`",
            figure(found["ansible"], "s"),
            "12 times",
            found["ansible"] / ours,
        ),
        Row("the same by pyinfra", figure(found["pyinfra"], "s"), "2 times", found["pyinfra"] / ours),
    ]


def cold_rows(tools: Tools, work: Path) -> list[Row]:
    found = cold.measured(tools, work)
    ratio = found["hostler"] / found["floor"]
    return [
        Row("4 bare hosts by a shell script, the floor", figure(found["floor"], "s"), ""),
        Row("the same by `hostler up`", figure(found["hostler"], "s"), "within 1.25", ratio),
    ]


def weights_rows(tools: Tools, work: Path) -> list[Row]:
    found = weights.measured(tools, work)
    line = f"a line of {found['line_mbit']:.0f} Mbit/s"
    over = f"{found['carried']:.1f} times over the line"
    return [
        Row(f"a model's file onto one host, {line}", figure(found["one"], "s"), ""),
        Row(
            f"the same file onto 4 hosts, {over}",
            figure(found["four"], "s"),
            "within 1.30",
            found["four"] / found["one"],
        ),
    ]


def words_rows(tools: Tools, _work: Path) -> list[Row]:
    stack = TOP / "stacks" / "rack-3090.yaml"
    help_cpu, _ = words.measured([tools.hostler, "--help"])
    check_cpu, check_wall = words.measured([tools.hostler, "check", "-f", stack])
    return [
        Row("`hostler --help`, processor time", figure(help_cpu, "s"), "under 0.15 s"),
        Row("`hostler check`, processor time", figure(check_cpu, "s"), ""),
        Row("`hostler check`, wall time", figure(check_wall, "s"), "under 0.4 s"),
    ]


def placement_rows(_tools: Tools, _work: Path) -> list[Row]:
    found = placement.measured()
    share = f"the same, placing its {found['replicas']:.0f} replicas alone"
    return [
        Row("plan of 200 hosts, 1,600 cards, 100 models", figure(found["plan"], "s"), "under 3 s"),
        Row(share, figure(found["place"], "s"), "under 1 s"),
    ]


def gateway_rows(_tools: Tools, _work: Path) -> list[Row]:
    program = [sys.executable, str(TOP / "bench" / "gateway.py")]
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True, timeout=180)
    found = {row["way"]: row for row in map(json.loads, done.stdout.splitlines())}
    near = found["gateway"]

    def rate(way: str, what: str, aim: str = "") -> Row:
        return Row(what, f"{found[way]['rate_c16']:,.0f} requests/s", aim, found[way]["of_direct_rate"])

    return [
        Row("a chat through the gateway, p50, added", figure(near["added_p50_ms"], "ms"), "0.2 ms"),
        Row("its first token, added", figure(near["added_first_token_ms"], "ms"), "1 ms"),
        rate("direct", "an engine that does nothing, asked directly, 16 clients"),
        rate("gateway", "the same through the gateway", "0.40"),
        rate("gateway, keep", "the same, engine keeps its connections"),
        rate("gateway and edge", "the same through gateway and edge", "0.28"),
    ]


PARTS: dict[str, Callable[[Tools, Path], list[Row]]] = {
    "words": words_rows,
    "placement": placement_rows,
    "gateway": gateway_rows,
    "noop": noop_rows,
    "cold": cold_rows,
    "weights": weights_rows,
}


def ended(number: int, _frame: object) -> None:
    """So that the lab and the working folder go as well."""
    sys.exit(128 + number)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # a job in the background ignores the first by inheritance
        signal.signal(number, ended)
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := [name for name in chosen if name not in PARTS]:
        sys.exit(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="hostler-bench-") as folder:
        work = Path(folder)
        say("building the wheel")
        tools = Tools(installed(work), pulumi_cli())
        for name in chosen:
            say(f"measuring: {name}")
            write(name, PARTS[name](tools, work))


if __name__ == "__main__":
    main()
