"""How an exchange ended, in the words that its caller reads: {"changed", "outcome", "why", "log"}."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Optional

from ..base.protocol import RESTORED, Answers, NodeError
from ..base.spec import Spec
from . import wait


def say(answers: Answers, **values: Any) -> None:
    """The caller may be gone; what was done stays done."""
    with contextlib.suppress(BrokenPipeError):
        answers.say(**values)


def done(name: str, why: str, changed: bool = True) -> Dict[str, Any]:
    return {"changed": changed, "outcome": name, "why": why, "log": []}


def also(why: str, *more: str) -> str:
    return "; ".join(filter(None, (why, *more)))


def changed(old: Optional[Spec], new: Spec) -> str:
    """What an exchange was for."""
    if old is None or old.get("spec") == new["spec"]:
        return "it was changed by hand"
    where = ("spec", "first_port", "health")  # says nothing to a person, or needs no exchange
    found = [key for key in sorted({*old, *new} - {*where}) if old.get(key) != new.get(key)]
    return "changed: " + (", ".join(found) or "spec")


def refused(error: Exception) -> NodeError:
    if not isinstance(error, NodeError):
        return NodeError("failed", str(error), changed=False, outcome="refused", why=str(error))
    error.more = {"changed": False, "outcome": "refused", "why": error.message, "log": [], **error.more}
    return error


def failed(name: str, error: Exception, changed: bool, also: str = "") -> NodeError:
    """What is said of a new container that was not good."""
    why = (error.message if isinstance(error, NodeError) else str(error)) + also
    log = error.log if isinstance(error, wait.FailedError) else []
    return NodeError(name, why, "", rc=RESTORED, changed=changed, outcome=name, why=why, log=log)
