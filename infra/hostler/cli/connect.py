"""hostler connect: what a client needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from hostler.cli import options
from hostler.console.out import Out
from hostler.errors import UsageError

if TYPE_CHECKING:
    from hostler.gateway.connect import Kind

KINDS = ("openai", "langchain", "open-webui", "curl")
PAGE = "page"


@click.command()
@click.argument("kind", type=click.Choice((*KINDS, PAGE)), required=False)
@options.stack
@options.as_json
@click.option(
    "--key",
    "key_name",
    help="The name of the key to show; the first valid one that this machine knows if not given.",
)
def command(kind: str | None, file: str | None, as_json: bool, key_name: str | None) -> None:
    """Show address, key and models, or a snippet that works: openai, langchain, open-webui, curl; or the controller's
    page, and the key for it."""
    from hostler.gateway.connect import snippets
    from hostler.rollout.address import connection

    out = Out(as_json=as_json)
    found = connection(options.load(file), key_name, out.say)
    if as_json:
        known = {"address": found.address, "key": found.key, "models": list(found.models), "ca": found.ca}
        out.json({**known, "cloud": found.cloud, "page": found.page or None, "page_key": found.admin or None})
    elif kind == PAGE and not found.page:
        raise UsageError.of(
            "connect page",
            expected="a stack with a controller, which serves it",
            got="none in the stack file",
            next_step="write `controller: {}` in it, then `hostler up`",
        )
    elif kind == PAGE:
        out.table(("", ""), [("page", found.page), ("password", found.admin)])
        out.say("any user name will do; only the password counts")
    elif kind and not found.chats:
        raise UsageError.of(
            f"connect {kind}",
            expected="a model that chats, for the snippet",
            got=f"only models for embeddings: {', '.join(found.models)}",
            next_step=f"POST {found.address}/v1/embeddings with the key that `hostler connect` shows",
        )
    elif kind:
        out.data(
            snippets(
                cast("Kind", kind), address=found.address, key=found.key, models=found.chats, ca=found.ca
            ).rstrip()
        )
    else:
        out.table(
            ("", ""),
            [("address", f"{found.address}/v1"), ("key", found.key), ("models", ", ".join(found.models))],
        )
        out.say(f"next: `hostler connect {'|'.join(KINDS)}` prints a snippet that works")
