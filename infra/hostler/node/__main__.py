"""The agent's front door: one table of commands, three ways in.

- installed: `hostler-node exchange chat-0 --force`
- `hostler-node fetch -`: as well, and the rest of the request is a JSON line on stdin (secrets come this way only)
- piped: no arguments, the whole request is a JSON line on stdin, {"op": "exchange", "id": "chat-0", "force": true}

A command is a function `(request: dict, answers: Answers) -> int`, its exit status. Modules are imported when
their command is called. To add one: a row in COMMANDS, a function of that name in that module.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
import traceback
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from .base import files
from .base.protocol import Answers, NodeError, Request, parse

Function = Callable[[Request, Answers], int]


class Command(NamedTuple):
    module: str
    function: str
    words: Tuple[str, ...] = ()  # positional arguments, by their name in the request
    flags: Tuple[str, ...] = ()  # --NAME: true in the request; --other VALUE: a string


COMMANDS: Dict[str, Command] = {
    "probe": Command("probe.probe", "probe"),
    "lock": Command("owning.lock", "lock"),
    "record-read": Command("owning.record", "read"),
    "record-commit": Command("owning.record", "commit"),
    "copy-write": Command("owning.record", "copy"),
    "ledger-append": Command("owning.ledger", "append"),
    "ledger-read": Command("owning.ledger", "read"),
    "baseline": Command("owning.baseline", "baseline"),
    "claim": Command("owning.claim", "claim"),
    "adopt": Command("owning.adopt", "adopt"),
    "hostkey-make": Command("owning.hostkey", "make"),
    "hostkey-use": Command("owning.hostkey", "use"),
    "end-run": Command("owning.end_run", "end_run"),
    "end-background": Command("owning.end_run", "end_background"),
    "run": Command("replica.container", "run", ("id",)),
    "stop": Command("replica.container", "stop", ("id",)),
    "logs": Command("replica.container", "logs", ("id",), ("follow",)),
    "enable": Command("base.instances", "enable", ("id",)),
    "disable": Command("base.instances", "disable", ("id",)),
    "exchange": Command("exchange.exchange", "exchange", ("id",), ("force", "cut")),
    "start": Command("exchange.start", "start"),
    "door": Command("exchange.door", "door", ("id",)),
    "retire": Command("exchange.retire", "retire", ("id",), ("force",)),
    "recover": Command("exchange.retire", "recover"),
    "drain": Command("doors.drain", "drain", ("id",)),
    "undrain": Command("doors.drain", "undrain", ("id",)),
    "host-away": Command("upgrades.aside", "host_away", (), ("cut",)),
    "host-back": Command("upgrades.aside", "host_back", (), ("unproven",)),
    "upgrade-look": Command("upgrades.upgrades", "look"),
    "upgrade-fetch": Command("upgrades.upgrades", "fetch"),
    "upgrade-install": Command("upgrades.upgrades", "install"),
    "boot": Command("upgrades.reboots", "boot"),
    "reboot": Command("upgrades.reboots", "reboot"),
    "pull": Command("docker.pull", "pull", ("ref",)),
    "remove-images": Command("docker.images", "remove"),
    "fetch-key": Command("packages.pgpkey", "fetch_key"),
    "packages-before": Command("packages.installed", "packages_before"),
    "packages-coming": Command("packages.installed", "packages_coming"),
    "packages-came": Command("packages.installed", "packages_came"),
    "packages-keep": Command("packages.installed", "packages_keep"),
    "firewall": Command("doors.firewall", "firewall", ("part",)),
    "docker-ready": Command("docker.daemon", "docker_ready"),
    "fetch": Command("weights.fetch", "fetch"),
    "serve": Command("weights.serve", "serve"),
    "span": Command("weights.span", "span"),
    "power": Command("cards.power", "power"),
    "watch": Command("watch.watch", "watch"),
    "watch-timer": Command("watch.watched", "timer"),
    "idle-look": Command("idle.keeping", "idle_look"),
    "idle-keep": Command("idle.keeping", "idle_keep"),
    "idle-timer": Command("idle.policy", "timer"),
    "sleep": Command("idle.sleeping", "sleep", ("id",), ("force", "ask")),
    "wake": Command("idle.waking", "wake", ("id",)),
    "host-end": Command("idle.ending", "host_end"),
    "wake-host": Command("idle.packets", "wake_host"),
    "make-cert": Command("site.certs", "make_cert", ("name",)),
    "controller-install": Command("site.controller", "install"),
    "controller-timer": Command("site.running", "keep"),
    "controller-run": Command("site.controller", "run"),
    "controller-serve": Command("site.controller", "serve"),
    "controller-prove": Command("site.controller", "prove"),
    "controller-rent": Command("site.controller", "rent", ("slot",)),
    "controller-rent-run": Command("site.controller", "rent_run", ("slot",)),
    "controller-hold": Command("site.controller", "hold"),
    "controller-logs": Command("site.controller", "logs"),
    "ask": Command("probe.ask", "ask"),
    "egress": Command("probe.egress", "egress"),
    "key-sync": Command("doors.haproxy", "key_sync"),
    "reload": Command("exchange.door", "reload", ("id",)),
    "purge": Command("leaving.purge", "purge", (), ("keep-models", "dry-run")),
}


def program() -> int:
    """`main` as a process of its own, under the name by which `end-run` knows an agent: one that is piped, or that
    `start` began, is python3 by itself. Without /proc it stays that, and has less time to go back."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "r+b", buffering=0) as name:
        name.write(files.AGENT.encode())
    return main()


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command; its failures are one JSON line, never a stack trace of a known kind."""
    answers = Answers()
    try:
        request = read_request(sys.argv[1:] if argv is None else argv)
        return find(str(request.get("op", "")))(request, answers)
    except NodeError as error:
        answers.say_value(error.as_json())
        return error.rc
    except OSError as error:
        answers.say(error=kind_of(error), message=str(error), next="")
        return 1
    except Exception as error:  # noqa: BLE001 - a bug is an answer too, with its trace for the report
        said = "%s: %s" % (type(error).__name__, error)
        answers.say(error="bug", message=said, next="please report this", log=traceback.format_exc())
        return 1


def read_request(words: List[str]) -> Request:
    """The request, from arguments or from one line on stdin; the run's id goes to the environment, for children."""
    request = from_words(words) if words else parse(sys.stdin.buffer.readline())
    if words and words[-1] == "-":
        request = {**parse(sys.stdin.buffer.readline()), **request}
    if isinstance(request.get("run"), str):
        os.environ["HOSTLER_RUN"] = request["run"]
    return request


def from_words(words: List[str]) -> Request:
    """`exchange chat-0 --force --limit 5` as a request."""
    request: Request = {"op": words[0]}
    command = command_of(words[0])
    names = list(command.words)
    rest = [word for i, word in enumerate(words[1:], 1) if not (word == "-" and i == len(words) - 1)]
    while rest:
        word = rest.pop(0)
        if word.startswith("--") and word[2:] in command.flags:
            request[word[2:]] = True
        elif word.startswith("--") and len(word) > 2 and rest:
            request[word[2:]] = rest.pop(0)
        elif not word.startswith("-") and names:
            request[names.pop(0)] = word
        else:
            raise NodeError("usage", "%s: unexpected %r" % (words[0], word), usage(words[0]), rc=2)
    return request


def command_of(name: str) -> Command:
    if name not in COMMANDS:
        raise NodeError("usage", "there is no command %r" % name, "one of: " + ", ".join(COMMANDS), rc=2)
    return COMMANDS[name]


def usage(name: str) -> str:
    command = COMMANDS[name]
    words = [
        "hostler-node",
        name,
        *(w.upper() for w in command.words),
        *("[--%s]" % f for f in command.flags),
    ]
    return "usage: " + " ".join(words)


def find(name: str) -> Function:
    command = command_of(name)
    module = importlib.import_module("." + command.module, __package__)
    function: Function = getattr(module, command.function)
    return function


def kind_of(error: OSError) -> str:
    """Kinds that a person can do something about."""
    kinds = {
        errno.ENOSPC: "disk",
        errno.EDQUOT: "disk",
        errno.EROFS: "disk",
        errno.EACCES: "sudo",
        errno.EPERM: "sudo",
    }
    return kinds.get(error.errno or 0, "failed")


if __name__ == "__main__":
    raise SystemExit(program())
