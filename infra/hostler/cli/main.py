"""The entry point: a lazy table of verbs, and the only place that turns errors into exit codes."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import Any

import click

from hostler import __version__
from hostler.errors import Exit, HostlerError

VERBS: dict[str, str] = {
    "init": "Write a first stack file from what the hosts really have.",
    "check": "Look for mistakes in the stack file.",
    "config": "Show the stack file with every default filled in.",
    "fit": "Show which cards hold a model, and how fast.",
    "plan": "Show what `up` would change, and change nothing.",
    "up": "Make the stack real.",
    "down": "Remove everything that `up` put on the hosts.",
    "status": "Show hosts, cards, models and replicas as they are now.",
    "cost": "Show what the stack cost: today, this month, by model, key, host or day.",
    "logs": "Show what a replica, the gateway or an edge says.",
    "ssh": "Log in to a host of the stack.",
    "doctor": "Look for what is wrong with this machine and the hosts.",
    "connect": "Show address, key, models, and a snippet that works.",
    "key": "Add, list and revoke the keys of clients.",
    "roll": "Exchange a model's replicas one by one, as they are.",
    "update": "Show newer versions of what floats, or roll them out.",
    "upgrade": "Show what is newer under the replicas (packages, Docker, driver, kernel), or upgrade it.",
    "releases": "Show what ran when, and how each release ended.",
    "rollback": "Run again what an older release ran.",
    "rollout": "Show, finish or undo a change that was interrupted.",
    "idle": "Show what is idle, since when, and what will come of it.",
    "sleep": "Give a pool's rented machines back, or free the cards of a model, until they are woken.",
    "wake": "Wake a pool or a model.",
    "rights": "Show the least rights in AWS with which the controller rents machines again.",
    "render": "Write inventory, variables and playbooks for plain ansible-playbook.",
    "inventory": "Answer Ansible's dynamic inventory protocol.",
    "pulumi": "Run the Pulumi CLI on this stack.",
}

EPILOG = """\b
Exit codes: 0 done; 1 a bug; 2 usage; 3 stack file; 4 a host cannot be
reached or trusted; 5 provisioning; 6 configuring; 7 rolled back; 8 locked by
somebody else; 9 refused; 10 `plan --check`: there are changes; 130 interrupted.
"""


GARBAGE = 50_000  # objects; at its default the collector takes a tenth of a short command's time


class Verbs(click.Group):
    """Imports a verb's file when it is called, and none of them for help or completion."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        if ctx.resilient_parsing and not _asks_about(cmd_name):
            return click.Command(cmd_name, short_help=VERBS[cmd_name])
        return importlib.import_module(f"hostler.cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            ctx.fail(f"There is no `hostler {args[0]}`.{hint}")
        return super().resolve_command(ctx, args)


def _asks_about(verb: str) -> bool:
    return verb in os.environ.get("COMP_WORDS", "").split()


@click.command(
    cls=Verbs,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="hostler")
def hostler() -> None:
    """One YAML stack file makes a self-hosted LLM stack real: `hostler up`.

    The stack is found from -f FILE (or a name in ./stacks), HOSTLER_STACK, ./hostler.yaml, or the
    one file in ./stacks. Standard output is data, standard error is the story.
    """


def main(argv: list[str] | None = None) -> None:
    gc.set_threshold(GARBAGE, 20, 20)
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: list[str]) -> int:
    """The exit code of one command line."""
    try:
        outcome: Any = hostler.main(args=argv, prog_name="hostler", standalone_mode=False)
    except HostlerError as error:
        _show(error, argv)
        return int(error.code)
    except click.ClickException as error:
        _show_usage(error, argv)
        return int(Exit.USAGE)
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("\ninterrupted; the next `hostler up` goes on from here\n")
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        return int(Exit.DONE)
    except Exception as error:  # noqa: BLE001 - the last resort: a bug is said to be one
        return _bug(error)
    return outcome if isinstance(outcome, int) else int(Exit.DONE)


def _show(error: HostlerError, argv: list[str]) -> None:
    from hostler.console.out import Out

    Out(as_json="--json" in argv).error(error)


def _show_usage(error: click.ClickException, argv: list[str]) -> None:
    if "--json" in argv:
        from hostler.console.out import Out

        Out(as_json=True).json({"error": [{"where": "hostler", "got": error.format_message()}], "exit": 2})
    error.show(sys.stderr)


def _bug(error: Exception) -> int:
    """A line for the person, the trace in a file of their own: it may name what is theirs."""
    import traceback

    from hostler.console.visible import visible
    from hostler.operator import state_home

    log = state_home() / "bug.log"
    log.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
    log.chmod(0o600)
    said = visible(f"error: a bug in hostler: {type(error).__name__}: {error}\n")
    sys.stderr.write(f"{said}next: report it with {log}\n")
    return int(Exit.BUG)


if __name__ == "__main__":
    main()
