"""What hubs and file servers refuse, as errors that say what to do."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from hostler.errors import StackFileError
from hostler.models.http import Answer
from hostler.models.source import HubSource

HUB_SECRET = "HF_TOKEN"  # noqa: S105 the name of a secret, not one
SET_TOKEN = f"accept its terms on the hub, then add under `secrets`: {HUB_SECRET}: env, and set {HUB_SECRET}"


def no_access(where: str, url: str, answer: Answer, had_token: bool) -> StackFileError:
    closed = answer.status in (401, 403)
    hint = f"accept the model's terms on the hub with the account of {HUB_SECRET}" if had_token else SET_TOKEN
    return StackFileError.of(
        where,
        expected=f"a file at {url}",
        got=f"status {answer.status}" + (": not allowed" if closed else ""),
        next_step=hint if closed else "check the address",
    )


def gated(source: HubSource, where: str, *, had_token: bool) -> StackFileError:
    got = f"a gated one, and {HUB_SECRET} has no access to it" if had_token else "a gated one, and no token"
    again = f"accept its terms on the hub with the account of {HUB_SECRET}"
    return StackFileError.of(
        where,
        expected=f"a repository {source.repo} that may be read",
        got=got,
        next_step=again if had_token else SET_TOKEN,
    )


def no_weights(source: HubSource, where: str) -> StackFileError:
    return StackFileError.of(
        where,
        expected=f"a GGUF file or safetensors in {source.repo}",
        got="neither",
        next_step="check the name on its page on the hub",
    )


def not_of_hub(named: str, where: str) -> StackFileError:
    return StackFileError.of(
        where,
        expected="a repository of the hub, or a folder: safetensors are many files",
        got=named,
        next_step="write hf:ORG/REPO, or a folder: ./FOLDER on this machine, /FOLDER on the hosts",
    )


def no_repo(source: HubSource, where: str, had_token: bool) -> StackFileError:
    private = "" if had_token else f"; if it is private, set {HUB_SECRET} under `secrets`"
    return StackFileError.of(
        where,
        expected=f"a repository {source.repo} on the hub",
        got="none of that name, or a private one",
        next_step=f"check the name on its page{private}",
    )


def no_revision(source: HubSource, where: str) -> StackFileError:
    return StackFileError.of(
        where,
        expected=f"a revision of {source.repo}",
        got=f"no {source.revision}",
        next_step="name a branch, a tag or a commit id from its page, or leave @... out",
    )


def other_content(text: str, expected: str, got: str, where: str) -> StackFileError:
    """A file of the operator's machine, beside a checksum in the stack file."""
    return StackFileError.of(
        where,
        expected=f"{text} with SHA-256 {expected}, as `sha256` says",
        got=got,
        next_step=f"put the right file there, or write `sha256: {got}`",
    )


def no_file(path: str, where: str) -> StackFileError:
    """/PATH means a file or folder on the hosts; ./PATH is one on this machine, and is brought there."""
    here = os.path.exists(path)
    own = f"write {os.path.join('.', os.path.basename(path))} and put it beside the stack file (or ../, ~/): `up` brings it there"
    return StackFileError.of(
        where,
        expected=f"{path} on a host of the model's pool",
        got="none there; it is on this machine" if here else "none there, or its size is not known",
        next_step=own if here else "copy it to that path on each host of the pool, or name a hub source",
    )


def at_mirror(hub: str | None, error: StackFileError) -> StackFileError:
    """What a mirror lacks need not be wrong in the stack file. No `hub`: it was the hub itself."""
    if not hub:
        return error
    problem = error.problems[0]
    return StackFileError.of(
        problem.where,
        expected=problem.expected,
        got=f"{problem.got}, at the mirror {urlsplit(hub).netloc}",
        next_step="check the name, copy it to the mirror, or take `hub` out of `mirror`",
    )
