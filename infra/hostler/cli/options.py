"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hostler.stackfile.sections import StackFile

type Decorated = Callable[..., Any]


def stack(function: Decorated) -> Decorated:
    return click.option(
        "-f",
        "--file",
        "file",
        metavar="FILE",
        envvar="HOSTLER_STACK",
        help="The stack file, or its name in ./stacks.",
    )(function)


def as_json(function: Decorated) -> Decorated:
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON on standard output.")(
        function
    )


def yes(function: Decorated) -> Decorated:
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(function)


def allow_downtime(function: Decorated) -> Decorated:
    return click.option(
        "--allow-downtime",
        is_flag=True,
        help="Go on where requests cannot be served for a while; the plan says how long.",
    )(function)


def cut(function: Decorated) -> Decorated:
    return click.option(
        "--cut", is_flag=True, help="Cut requests that are still running when the drain limit is over."
    )(function)


def seconds(option: str, text: str | None) -> float | None:
    """`10m` as seconds; raises click.BadParameter for what is no time."""
    if text is None:
        return None
    from hostler.stackfile.forms import FormError, parse

    try:
        return float(parse("duration", text))
    except FormError:
        raise click.BadParameter(f"{text} is no time such as 90s, 10m, 3d", param_hint=option) from None


def load(file: str | None) -> StackFile:
    """The stack file that is meant."""
    from hostler.stackfile.find import find
    from hostler.stackfile.load import load as load_file

    return load_file(find(file))
