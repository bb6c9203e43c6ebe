"""python -m lab: test hosts by hand."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from .cloud.roots import nvidia_root, plain_root
from .lab import Lab, setup
from .machine import trouble
from .python_world import python_world
from .shell import LabError
from .spec import HostSpec, demo_specs
from .vllm_image import vllm_image


def _open_or_start(name: str) -> Lab:
    return Lab.open(name) if name in Lab.running() else Lab.start(name, keep=True)


def _split(words: list[str]) -> tuple[str, ...]:
    """'RTX 3090*4' 'A10G' -> four and one."""
    cards: list[str] = []
    for word in words:
        name, _, count = word.partition("*")
        cards += [name.strip()] * int(count or 1)
    return tuple(cards)


def up(words: argparse.Namespace) -> int:
    begin = time.monotonic()
    setup(words.suite)
    lab = _open_or_start(words.name)
    specs = demo_specs(words.hosts, _split(words.gpus))
    specs = [HostSpec(s.name, suite=words.suite, gpus=s.gpus) for s in specs]
    hosts = lab.hosts(*specs)
    lab.operator()
    for host in hosts:
        print(
            f"{host.name:12} {host.address:14} {host.spec.suite:9} {', '.join(host.spec.gpus) or 'no cards'}"
        )
    print(f"up in {time.monotonic() - begin:.1f} s; python -m lab enter | ssh HOST | down", file=sys.stderr)
    return 0


def down(words: argparse.Namespace) -> int:
    Lab.open(words.name).stop()
    return 0


def listed(_: argparse.Namespace) -> int:
    for name in Lab.running():
        for host in Lab.open(name).hosts():
            state = "up" if host.running else "off"
            cards = ", ".join(host.spec.gpus) or "no cards"
            print(f"{name:12} {host.name:12} {host.address:14} {state:4} {host.spec.suite:9} {cards}")
    return 0


def _become(lab: Lab, argv: list[str], where: str) -> int:
    operator = lab.operator()
    command = operator.command(argv, where)
    return subprocess.call(command, env=operator.environment({"PS1": f"({lab.name}) \\w$ "}))


def ssh(words: argparse.Namespace) -> int:
    return _become(Lab.open(words.name), ["ssh", words.host, *words.command], os.getcwd())


def enter(words: argparse.Namespace) -> int:
    return _become(Lab.open(words.name), ["bash", "--norc", "-i"], os.getcwd())


def run(words: argparse.Namespace) -> int:
    command = words.command[1:] if words.command[:1] == ["--"] else words.command
    if not command:
        raise LabError("run what? python -m lab run -- COMMAND")
    return _become(Lab.open(words.name), command, os.getcwd())


def snapshot(words: argparse.Namespace) -> int:
    Lab.open(words.name).snapshot(words.snapshot)
    return 0


def restore(words: argparse.Namespace) -> int:
    Lab.open(words.name).restore(words.snapshot)
    return 0


def doctor(_: argparse.Namespace) -> int:
    why = trouble()
    print(why or "this machine can host a lab")
    return 1 if why else 0


def build(words: argparse.Namespace) -> int:
    setup(*words.suites)
    vllm_image()
    python_world()
    plain_root()
    nvidia_root()
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    verbs = top.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, call: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=about, description=about)
        made.add_argument("--name", default="demo", help="the lab's name (demo)")
        made.set_defaults(call=call)
        return made

    hosts = verb("up", up, "hosts up: `demo`, a number, or names; what runs already is left alone")
    hosts.add_argument("hosts", nargs="*")
    hosts.add_argument("--gpus", nargs="*", default=[], help="cards of each host: 'RTX 3090*4' A10G")
    hosts.add_argument("--suite", default="bookworm", choices=["bookworm", "trixie"])
    verb("down", down, "end the lab and remove its files")
    verb("list", listed, "all labs and hosts")
    one = verb("ssh", ssh, "log in to a host as the operator")
    one.add_argument("host")
    one.add_argument("command", nargs=argparse.REMAINDER)
    verb("enter", enter, "a shell as the operator")
    verb("run", run, "a command as the operator: run -- COMMAND").add_argument(
        "command", nargs=argparse.REMAINDER
    )
    verb("snapshot", snapshot, "keep all hosts and operators as they are").add_argument("snapshot")
    verb("restore", restore, "back to a snapshot").add_argument("snapshot")
    verb("setup", build, "build everything that is built once").add_argument("suites", nargs="*")
    verb("doctor", doctor, "why this machine cannot host a lab, in one line")
    return top


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    words = parser().parse_args()
    try:
        return words.call(words)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
