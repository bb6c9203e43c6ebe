"""hostler update --pause, --go-on: a word to the controller on the gateway's host."""

from __future__ import annotations

import time

from hostler.console.out import Out
from hostler.errors import RefusedError
from hostler.hosts.calls import agent_call
from hostler.hosts.connect import transport_for
from hostler.rollout import home, networks, up
from hostler.rollout.observe import home_of
from hostler.stackfile import updating
from hostler.stackfile.sections import StackFile


def hold(file: StackFile, out: Out, *, why: str, lasting: float | None) -> None:
    """`why` empty: it goes on. `lasting`: seconds after which it goes on by itself, None: when it is told to. What it does
    at this moment it finishes. Raises RefusedError where no controller is wanted."""
    if not updating.unattended(file.stack.updates):
        raise RefusedError.of(
            file.where("updates"),
            expected="updates that are taken without anyone",
            got="none",
            next_step="`updates: weekly` in the stack file, then `hostler up`",
        )
    observation = up.look(file, up.Options(yes=True), pulumi=False)
    home.running(observation)
    host = home_of(observation)
    until = time.time() + lasting if lasting else 0.0
    transport = transport_for(host)
    try:
        agent_call(transport, "controller-hold", why=why, who=networks.owner(), until=until)
    finally:
        transport.close()
    if not why:
        out.say("the controller goes on; its next turn is within 15 minutes")
        return
    then = (
        time.strftime("until %Y-%m-%d %H:%M", time.localtime(until))
        if until
        else "until `hostler update --go-on`"
    )
    out.say(f"the controller changes nothing {then}; a roll that is under way is finished")
