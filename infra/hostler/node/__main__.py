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

from . import files
from .protocol import Answers, NodeError, Request, parse

Function = Callable[[Request, Answers], int]


class Command(NamedTuple):
    module: str
    function: str
    words: Tuple[str, ...] = ()  # positional arguments, by their name in the request
    flags: Tuple[str, ...] = ()  # --NAME: true in the request; --other VALUE: a string


COMMANDS: Dict[str, Command] = {
    "probe": Command("probe", "probe"),
    "lock": Command("lock", "lock"),
    "record-read": Command("record", "read"),
    "record-commit": Command("record", "commit"),
    "copy-write": Command("record", "copy"),
    "baseline": Command("baseline", "baseline"),
    "claim": Command("claim", "claim"),
    "adopt": Command("adopt", "adopt"),
    "hostkey-make": Command("hostkey", "make"),
    "hostkey-use": Command("hostkey", "use"),
    "end-run": Command("end_run", "end_run"),
    "end-background": Command("end_run", "end_background"),
    "run": Command("container", "run", ("id",)),
    "stop": Command("container", "stop", ("id",)),
    "logs": Command("container", "logs", ("id",), ("follow",)),
    "enable": Command("instances", "enable", ("id",)),
    "disable": Command("instances", "disable", ("id",)),
    "exchange": Command("exchange", "exchange", ("id",), ("force", "cut")),
    "start": Command("start", "start"),
    "door": Command("door", "door", ("id",)),
    "retire": Command("retire", "retire", ("id",), ("force",)),
    "recover": Command("retire", "recover"),
    "drain": Command("drain", "drain", ("id",)),
    "undrain": Command("drain", "undrain", ("id",)),
    "pull": Command("pull", "pull", ("ref",)),
    "remove-images": Command("images", "remove"),
    "fetch-key": Command("pgpkey", "fetch_key"),
    "packages-before": Command("installed", "packages_before"),
    "packages-coming": Command("installed", "packages_coming"),
    "packages-came": Command("installed", "packages_came"),
    "packages-keep": Command("installed", "packages_keep"),
    "firewall": Command("firewall", "firewall", ("part",)),
    "docker-ready": Command("daemon", "docker_ready"),
    "fetch": Command("fetch", "fetch"),
    "serve": Command("serve", "serve"),
    "span": Command("span", "span"),
    "power": Command("power", "power"),
    "make-cert": Command("certs", "make_cert", ("name",)),
    "ask": Command("ask", "ask"),
    "egress": Command("egress", "egress"),
    "key-sync": Command("haproxy", "key_sync"),
    "reload": Command("haproxy", "reload", ("id",)),
    "purge": Command("purge", "purge", (), ("keep-models", "dry-run")),
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
