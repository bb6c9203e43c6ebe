"""`make bench`: every row a ratio of one run on this machine, into bench/results.md and the README.

run.py [noop cold weights rollout idle words placement gateway]: only these rows are measured anew; the others stay as they were.
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
import crowd
import idle
import noop
import placement
import rollout
import watching
import weights
import words
from report import Row, figure, write
from stand import TOP, Tools, say

from hostler.node.idle.deciding import SWITCH_EXTRA_S
from tools.pulumi_cli import pulumi_cli
from tools.wheel import installed

PROMISED_S, ALONE_S = 60, 600  # from a window's end, with a controller and without


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


def rollout_rows(tools: Tools, work: Path) -> list[Row]:
    found = rollout.measured(tools, work)

    def share(what: str, now: str, unit: str) -> Row:
        before = found[f"{now}_before"]
        return Row(
            f"{what}, {figure(before, unit)} before",
            figure(found[now], unit),
            "",
            found[now] / before,
        )

    def lost(way: str) -> str:
        return f"{found[f'{way}_lost']:.0f} of {found[f'{way}_requests']:.0f} requests lost"

    floor = f"two drains and two loads of {rollout.LOAD_S} s, the floor of a change of two replicas"
    return [
        Row(floor, figure(found["floor"], "s"), ""),
        Row(
            "their exchanges by `hostler up`",
            figure(found["exchanges"], "s"),
            "",
            found["exchanges"] / found["floor"],
        ),
        Row(
            f"the whole `hostler up`, {lost('ours')}",
            figure(found["took"], "s"),
            "within 1.15",
            found["took"] / found["floor"],
        ),
        share("answers in its busiest second", "rate", "/s"),
        share("answers in a second, median", "middle", "/s"),
        share("first token, p95", "first", "s"),
        Row(
            f"the same by `docker compose up -d`, host after host, {lost('compose')}",
            figure(found["compose"], "s"),
            "",
            found["compose"] / found["floor"],
        ),
    ]


def idle_rows(tools: Tools, work: Path) -> list[Row]:
    held = holding_rows()
    found, lines = idle.measured(tools, work)
    alone = SWITCH_EXTRA_S + found["alone"]
    load = watching.measured(lines, work)
    window = "from a window's end to its engine's"
    return [
        Row(
            f"{window}, by the controller, median of {idle.SLEEPS}",
            figure(found["asleep"], "s"),
            f"within {PROMISED_S} s",
            found["asleep"] / PROMISED_S,
        ),
        Row(
            f"the same by the host alone; of its wait of {SWITCH_EXTRA_S:.0f} s {idle.EXTRA_S} s were waited",
            figure(alone, "s"),
            f"within {ALONE_S} s",
            alone / ALONE_S,
        ),
        Row(
            f"an engine's start and its first token, the floor of a wake, median of {idle.WAKES}",
            figure(found["floor"], "s"),
            "",
        ),
        Row(
            "a first token of who asks for a model that sleeps",
            figure(found["wake"], "s"),
            "",
            found["wake"] / found["floor"],
        ),
        *held,
        Row(f"the controller, {crowd.HOSTS} hosts with a replica each", share(load["alone"]), "under 3 %"),
        Row("the same while a browser shows its page", share(load["shown"]), "under 3 %"),
    ]


def share(value: float) -> str:
    return f"{100 * value:.1f} % of a core"


def holding_rows() -> list[Row]:
    program = [sys.executable, str(TOP / "bench" / "holding.py")]
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True, timeout=180)
    found = json.loads(done.stdout)

    def row(figures: str, what: str) -> Row:
        held, same = found["holds"][figures], found["again"][figures]
        spread = f"{held['low']:.2f} to {held['high']:.2f} in half of the rounds"
        noise = f"{same['low']:.2f} to {same['high']:.2f} where it may not"
        text = f"a chat, {what}, while its model may sleep and does not: {spread}, {noise}"
        return Row(text, figure(held["ms"], "ms"), "1.00", held["ratio"])

    return [
        row("c1_p50", "p50, 1 client"),
        row("c1_p95", "p95, 1 client"),
        row("c16_p50", "p50, 16 clients"),
        row("c16_p95", "p95, 16 clients"),
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
    "rollout": rollout_rows,
    "idle": idle_rows,
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
