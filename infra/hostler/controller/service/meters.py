"""What the meters of the stack file say: read by each host itself (node/idle/meter.py), and heard by its keeper."""

from __future__ import annotations

from collections.abc import Iterable

from hostler.console.out import Out
from hostler.controller.service.world import World
from hostler.stackfile.hosts import hosts_of
from hostler.stackfile.sections import StackFile


def of(file: StackFile) -> dict[str, str]:
    """By host of one's own: the command that says what it draws at the wall."""
    pools = file.stack.pools
    found = {host.name: pools[host.pool].power for host in hosts_of(file)}
    return {name: power.meter for name, power in found.items() if power and power.meter}


class Meters:
    """Of `hosts`. Told once when one fails, and once when it tells again."""

    def __init__(self, hosts: Iterable[str], out: Out) -> None:
        self._hosts, self._out = tuple(hosts), out
        self._failing: dict[str, str] = {}  # host -> why, as it was told

    def read(self, world: World) -> dict[str, float | None]:
        """Watts at the wall by host; None: it said none of late."""
        for name in self._hosts:
            view = world.views.get(name)
            if view and view.metered:
                self._tell(name, view.metered.why)
        return {name: view.watts(world.now) for name in self._hosts if (view := world.views.get(name))}

    def _tell(self, host: str, why: str) -> None:
        was = self._failing.get(host, "")
        if bool(why) == bool(was):
            return
        if why:
            self._failing[host] = why
            self._out.say(f"warning: power.meter of {host} does not tell: {why}; kWh are those of its cards")
        else:
            del self._failing[host]
            self._out.say(f"power.meter of {host} tells again")
