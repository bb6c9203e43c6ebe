"""GPUs: what nvidia-smi says, what the kernel says, and what lies on the PCI bus."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..base import files, processes, shell
from ..base.protocol import NodeError, as_dict
from . import cardfacts
from .cardfacts import real, whole

LIMIT = 15.0  # seconds: without persistence mode the driver wakes every card first
SMI = "nvidia-smi"
CARD = (
    "index", "uuid", "name", "memory.total", "memory.used", "utilization.gpu", "power.draw", "power.limit",
    "temperature.gpu", "pci.bus_id", "compute_cap", "driver_version",
)  # fmt: skip
APP = ("gpu_uuid", "pid", "process_name", "used_memory")
HANGS = "/run/hostler/nvidia-smi.json"  # {pid: its start}
MODULE = "/proc/driver/nvidia/version"
PCI = "/sys/bus/pci/devices"
NVIDIA = "0x10de"
DISPLAY = "0x03"  # PCI class of display controllers
LINK = re.compile(r"^(NV\d+|PIX|PXB|PHB|NODE|SYS)$")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

Json = Dict[str, Any]
NOTHING: Json = {"driver": {"state": "none"}, "cards": [], "processes": [], "links": [], "xids": []}


def look() -> Json:
    """{"driver", "cards", "processes", "links", "xids"} as hosts.types has them; whose a process is says `owned`."""
    module, on_bus = kernel_version(files.read_text(MODULE)), count_on_bus()
    if not on_bus and not module and not present():
        return NOTHING
    asked, apps, version, detail, new, old, kernel = ask(
        query("gpu", CARD),
        query("compute-apps", APP),
        (SMI, "--version"),
        query("gpu", cardfacts.DETAIL),
        *(query("gpu", ("uuid", name)) for name in cardfacts.REASONS),
        cardfacts.KERNEL,
    )
    found, installed = parse_cards(asked.stdout) if asked.ok else ([], "")
    cards = with_more(found, detail, new if new.ok else old)
    driver = judge(asked, module, on_bus, installed or parse_driver(version.stdout))
    driver["cuda"] = parse_cuda(version.stdout) if version.ok else ""
    links = parse_links(shell.run((SMI, "topo", "-m"), LIMIT).stdout, cards) if len(cards) > 1 else []
    return {
        "driver": driver,
        "cards": cards,
        "processes": parse_apps(apps.stdout if apps.ok else ""),
        "links": links,
        "xids": cardfacts.xids(kernel),
    }


def query(what: str, fields: Sequence[str]) -> Sequence[str]:
    return (SMI, "--query-%s=%s" % (what, ",".join(fields)), "--format=csv,noheader,nounits")


def with_more(cards: Sequence[Json], detail: shell.Result, reasons: shell.Result) -> List[Json]:
    """The cards with what older drivers may not tell; unknown where they do not."""
    more = cardfacts.more(detail.stdout) if detail.ok else {}
    throttled = cardfacts.throttled(reasons.stdout) if reasons.ok else {}
    return [{**one, **more.get(one["uuid"], {}), "throttled": throttled.get(one["uuid"])} for one in cards]


def owned(processes: Sequence[Json], containers: Sequence[Tuple[str, str]]) -> List[Json]:
    """The processes, each marked whether it runs in one of our containers, (Docker's id, name), and in which."""
    names = [_inside(process["pid"], containers) for process in processes]
    return [{**one, "ours": bool(name), "replica": name} for one, name in zip(processes, names)]  # noqa: B905 - Python 3.9


def _inside(pid: int, containers: Sequence[Tuple[str, str]]) -> str:
    groups = files.read_text("/proc/%d/cgroup" % pid)
    return next((name for identity, name in containers if identity in groups), "")


def judge(asked: shell.Result, module: str, on_bus: int, installed: str) -> Json:
    """The driver's state. `module`: the loaded kernel module's version, `installed`: the user space's."""
    if asked.ok and asked.stdout.strip():
        return {"state": "working", "version": installed or module, "detail": ""}
    if "version mismatch" in asked.stdout + asked.stderr or (module and installed and module != installed):
        detail = "the kernel runs %s, installed is %s: reboot" % (
            module or "another version",
            installed or "another version",
        )
        return {"state": "mismatch", "version": module, "detail": detail}
    if asked.rc == shell.MISSING and not module:
        detail = "no driver for %d NVIDIA card(s) on the PCI bus" % on_bus
        return {"state": "missing" if on_bus else "none", "version": "", "detail": detail if on_bus else ""}
    return {"state": "broken", "version": module or installed, "detail": asked.why}


def parse_cards(text: str) -> Tuple[List[Json], str]:
    """The cards and the driver's version. A card that fell off its bus gives a line that is no card: left out."""
    rows = [[field.strip() for field in line.split(",")] for line in text.splitlines()]
    whole_rows = [row for row in rows if len(row) == len(CARD) and row[0].isdigit()]
    return [card(row) for row in whole_rows], whole_rows[-1][11] if whole_rows else ""


def card(row: Sequence[str]) -> Json:
    return {
        "index": int(row[0]),
        "uuid": row[1],
        "name": row[2],
        "memory_mib": whole(row[3]) or 0,
        "used_mib": whole(row[4]),
        "utilization": whole(row[5]),
        "power_w": real(row[6]),
        "power_limit_w": real(row[7]),
        "temperature_c": whole(row[8]),
        "pci": row[9],
        "compute": row[10] if real(row[10]) is not None else "",
    }


def parse_apps(text: str) -> List[Json]:
    """Processes on cards; a name may hold commas."""
    rows = [line.strip().split(", ") for line in text.splitlines()]
    return [
        {"card": row[0], "pid": int(row[1]), "name": ", ".join(row[2:-1]), "used_mib": whole(row[-1])}
        for row in rows
        if len(row) >= len(APP) and row[1].isdigit()
    ]


def parse_links(text: str, cards: Sequence[Json]) -> List[List[str]]:
    """Pairs of card UUIDs and how they are joined, each pair once, from the matrix of `topo -m`."""
    uuids = {"GPU%d" % found["index"]: found["uuid"] for found in cards}
    rows = [COLOUR.sub("", line).split() for line in text.splitlines()]
    head: List[str] = []
    links: List[List[str]] = []
    for row in (row for row in rows if row and row[0] in uuids):
        if not head:
            head = [word for word in row if word.startswith("GPU") and word[3:].isdigit()]
            continue
        for other, word in zip(head, row[1:]):  # noqa: B905 - Python 3.9; more columns follow the cards'
            if other in uuids and int(other[3:]) > int(row[0][3:]) and LINK.match(word):
                links.append([uuids[row[0]], uuids[other], word])
    return links


def parse_cuda(text: str) -> str:
    match = re.search(r"CUDA Version\s*:\s*([0-9.]+)", text)
    return match.group(1) if match else ""


def parse_driver(text: str) -> str:
    match = re.search(r"driver version\s*:\s*([0-9.]+)", text, re.IGNORECASE)
    return match.group(1) if match else ""


def kernel_version(text: str) -> str:
    """From /proc/driver/nvidia/version: `NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue ...`."""
    match = re.search(r"NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\s", text)
    return match.group(1) if match else ""


def count_on_bus() -> int:
    try:
        devices = os.listdir(files.at(PCI))
    except OSError:
        return 0
    return sum(_is_card(os.path.join(PCI, device)) for device in devices)


def _is_card(device: str) -> bool:
    if files.read_text(os.path.join(device, "vendor")).strip() != NVIDIA:
        return False
    return files.read_text(os.path.join(device, "class")).startswith(DISPLAY)


def present() -> bool:
    """Whether there is an nvidia-smi, PCI bus or not (WSL, a stand-in)."""
    places = ("/usr/bin/nvidia-smi", "/usr/local/bin/nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi")
    return any(os.path.exists(files.at(place)) for place in places)


def ask(*commands: Sequence[str]) -> List[shell.Result]:
    """All at once: each call of nvidia-smi starts the library anew. Where one of before still hangs in the driver, no
    other is started: it would hang, too."""
    results: List[Optional[shell.Result]] = [None] * len(commands)
    stuck = hanging()

    def one(place: int) -> None:
        words = commands[place]
        if words[0] == SMI and stuck:
            why = "nvidia-smi: one of before still hangs (process %s)" % ", ".join(stuck)
            results[place] = shell.Result(tuple(words), shell.TIMED_OUT, "", why)
            return
        results[place] = shell.run(words, LIMIT if words[0] == SMI else cardfacts.KERNEL_S)

    threads = [threading.Thread(target=one, args=(place,)) for place in range(len(commands))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [result for result in results if result is not None]
    _remember([result.left for result in found if result.left and result.argv[0] == SMI])
    return found


def hanging() -> List[str]:
    """Processes of nvidia-smi that were killed and are still there."""
    try:
        known = as_dict(files.read_json(HANGS))
    except (OSError, NodeError):
        return []
    return sorted(pid for pid, born in known.items() if pid.isdigit() and processes.born(int(pid)) == born)


def _remember(pids: Sequence[int]) -> None:
    """On a host of ours only: elsewhere nothing is written."""
    if not pids or not os.path.isdir(files.at(os.path.dirname(HANGS))):
        return
    with contextlib.suppress(OSError):
        files.write_json(HANGS, {str(pid): processes.born(pid) for pid in pids})
