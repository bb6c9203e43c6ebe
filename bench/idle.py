"""What is idle is given back, and comes again: how soon, against what was promised and against the engine's own start.

A lab host with a real llama-server. Its window is 20 s here, and the dead man's switch waits for 5 s where it waits for
300: both are told of as seconds after their end, so their length does not matter.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from crowd import Lines
from stand import Tools, say, stand

from e2e.desk import Desk
from hostler.rollout.observe import questions_of
from hostler.stackfile.load import load
from lab.hosts import Host
from lab.python_world import python_world
from lab.shell import wait_for

NODE = "/usr/local/lib/hostler/hostler-node"
SERVICE = "hostler-controller.service"
POLICIES = "/etc/hostler/idle.json"
REPLICA = "chat-0"
AFTER_S = 20
EXTRA_S = 5  # of the switch; 300 elsewhere
LIMIT_S = 120.0
SLEEPS = 3
WAKES = 5
POLL_S = 0.05
STACK = f"""\
stack: bench
pools:
  rack: [gpu-1]
models:
  chat:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"
    idle: {{after: {AFTER_S}s}}
    context: 2k
    args: ["--threads", "1"]
mirror:
  toolkit_key: ~/.config/hostler/toolkit.asc
"""
# seconds until the first token of a stream; a comment, by which a proxy learns that somebody is still there, is none
FIRST = """
import http.client, json, sys, time, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
body = {"model": "chat", "stream": True, "max_tokens": 4, "messages": [{"role": "user", "content": "Name a colour."}]}
began = time.monotonic()
there = http.client.HTTPConnection(url.hostname, url.port, timeout=240)
there.request("POST", "/v1/chat/completions", json.dumps(body),
    {"Content-Type": "application/json", "Authorization": "Bearer " + sys.argv[2]})
answer = there.getresponse()
for line in answer:
    if line.startswith(b"data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
        break
else:
    sys.exit("no token: %d" % answer.status)
print(time.monotonic() - began)
"""


def measured(tools: Tools, _work: Path) -> tuple[dict[str, float], Lines]:
    """Seconds, medians; and what the host said, for who wants many of them."""
    python_world()
    with stand(tools, ["gpu-1"], STACK, ("RTX 3090",)) as desk:
        desk.up()
        (host,) = desk.lab.hosts()
        lines = said(desk, host)
        port = int(lines.seen["record"]["replicas"][0]["members"][0]["port"])
        found = {**woken(desk, host, port), **asleep(desk, host)}
        return found, lines


def node(host: Host, *words: str, stdin: str = "") -> dict[str, Any]:
    return json.loads(host.run([NODE, *words], stdin=stdin).stdout.splitlines()[-1])


def said(desk: Desk, host: Host) -> Lines:
    asked = json.dumps({"ask": list(questions_of(load(desk.file)))})
    return Lines(
        looked=node(host, "idle-look", "--oldest", "0")["looked"],
        seen=node(host, "probe", "-", stdin=asked + "\n"),
    )


# -- asleep


def asleep(desk: Desk, host: Host) -> dict[str, float]:
    """Seconds from the end of the window until the engine is gone: by the controller; then by the host alone, whose own wait
    is left out."""
    found, by = desk.connection(), list[float]()
    for number in range(SLEEPS):
        by.append(late_s(host))
        say(f"idle: asleep {by[-1]:.1f} s after its window, {number + 1} of {SLEEPS}")
        asleep_told(desk, found)
        node(host, "wake", REPLICA)
    host.run(["systemctl", "stop", SERVICE])
    written = json.loads(host.run(["cat", POLICIES]).stdout)
    host.run(["sh", "-c", f"cat > {POLICIES}"], stdin=json.dumps({**written, "extra_s": EXTRA_S}))
    alone = late_s(host) - EXTRA_S
    say(f"idle: asleep {alone:.1f} s after the switch's own wait")
    return {"asleep": median(by), "asleep_most": max(by), "alone": alone}


def late_s(host: Host) -> float:
    """Since when it was idle says the host itself, on the clock that all of this machine share."""
    inside = Path(f"/proc/{host.leader}/root")
    state, mark = inside / "run/hostler/idle/state.json", inside / f"var/lib/hostler/asleep/{REPLICA}.json"
    since, until = None, time.monotonic() + AFTER_S + EXTRA_S + LIMIT_S
    while not gone(mark):
        with suppress(
            OSError, ValueError, KeyError
        ):  # not there yet, or being replaced; what drains is no evidence
            row = json.loads(state.read_text())["looked"]["replicas"][REPLICA]
            since = row["since"] if row["word"] == "idle" and not mark.exists() else since
        if time.monotonic() > until:
            sys.exit(f"idle: {REPLICA} does not fall asleep")
        time.sleep(POLL_S)
    if since is None:
        sys.exit(f"idle: {REPLICA} is asleep, and was never idle: {mark.read_text()}")
    if left := host.run(["pgrep", "-x", "llama-server"], check=False).stdout:
        sys.exit(f"idle: {REPLICA} is asleep, and its engine runs: {left}")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - since - AFTER_S


def gone(mark: Path) -> bool:
    """Its container is stopped."""
    with suppress(OSError, ValueError):
        found = json.loads(mark.read_text())
        return found["state"] == "asleep" and not found["drained"]
    return False


# -- awake


def woken(desk: Desk, host: Host, port: int) -> dict[str, float]:
    """`wake`: seconds to a first token of who asks for a model that sleeps; `floor`: of the same wakes, the engine's own
    start and the first token of one who asks it directly then."""
    found = desk.connection()
    gateway, own = [found["address"], found["key"]], [f"http://127.0.0.1:{port}", "none"]
    wakes: list[float] = []
    floors: list[float] = []
    for _ in range(WAKES):
        node(host, "sleep", REPLICA, "--force")
        asleep_told(desk, found)
        wakes.append(float(desk.operator.run([sys.executable, "-c", FIRST, *gateway]).stdout))
        floors.append(start_s(host) + float(host.run(["python3", "-c", FIRST, *own]).stdout))
        say(f"idle: first token {wakes[-1]:.2f} s after it was asked, floor {floors[-1]:.2f} s")
    return {"wake": median(wakes), "wake_most": max(wakes), "floor": median(floors)}


def asleep_told(desk: Desk, found: Mapping[str, Any]) -> None:
    """The controller has seen it, and so has the gateway."""
    words = ["curl", "-sS", "-m", "10", f"{found['address']}/v1/models"]
    words += ["-H", f"Authorization: Bearer {found['key']}"]

    def told() -> bool:
        return json.loads(desk.operator.run(words).stdout)["data"][0].get("state") == "asleep"

    wait_for("the gateway to know that it sleeps", told, LIMIT_S, every=0.5)


def start_s(host: Host) -> float:
    """From the container's start until its engine listens with its model loaded, by Docker and its own log."""
    name = f"hostler-{REPLICA}"
    started = host.run(["docker", "inspect", "-f", "{{.State.StartedAt}}", name]).stdout.strip()
    logs = host.run(["docker", "logs", "-t", "--since", started, name])
    lines = (logs.stdout + logs.stderr).splitlines()
    ready = [line.split()[0] for line in lines if re.search("model loaded|server is listening", line)]
    if not ready:
        sys.exit(f"idle: {name} does not say when it was ready:\n{logs.stdout[-2000:]}{logs.stderr[-2000:]}")
    return max(moment(one) for one in ready) - moment(started)


def moment(text: str) -> float:
    """Of Docker's time with nanoseconds."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", text)).timestamp()
