"""Who gives files of weights to whom: over the outside line once, from host to host after that. Pure.

The hosts of a pool that need a file stand in a ring, by name. One fetches it from outside, unless some have it; each
other one follows the host before it while that still gets it, so that no line carries the file twice. A host knows
the two before and the two after it: who may ask whom depends on the placement alone, and not on who has what now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from hostler import resources
from hostler.configure import engine, observed
from hostler.hosts.types import Host, Seen, Value
from hostler.manifest.contents import Text
from hostler.manifest.items import Downloads, File, Item, ModelFile, Part, Unit
from hostler.models.lying import MODELS, OPERATOR

if TYPE_CHECKING:
    from hostler.configure.wish import Wish

REACH = 2  # how many hosts before it a host may ask: one of them may be away
CERTIFICATES = "/etc/hostler/tls/sharing"
FOLDER = "/etc/systemd/system"
SOCKET = "hostler-files.socket"
UNITS = (SOCKET, "hostler-files@.service")


def units() -> Iterator[Item]:
    """What gives files on a host: systemd starts it for each connection that the edge makes."""
    for name in UNITS:
        text = (resources.templates() / name).read_text()
        yield File(path=f"{FOLDER}/{name}", part=Part.EDGE, content=Text(text=text))
    yield Unit(name=SOCKET, part=Part.EDGE)


def by_operator(downloads: Downloads, file: ModelFile) -> bool:
    """Whether a file comes from the machine that runs Hostler: because it lies there, or since its pool has no line."""
    return file.url.startswith(OPERATOR) or (downloads.operator and not file.url.startswith("file:"))


def place(file: ModelFile) -> str:
    """How files of weights are asked for among hosts: below the folder of all."""
    return file.path.removeprefix(MODELS)


def near(wish: Wish, host: Host) -> tuple[str, ...]:
    """Hosts that a host may ask, or be asked by."""
    every = rings(wish)
    found = (name for path in _shared(wish, host) for name in _near(every[host.pool, path], host.name))
    return tuple(sorted(dict.fromkeys(found)))


def sources(
    ring: tuple[str, ...], name: str, givers: Collection[str], away: Collection[str]
) -> tuple[str, ...]:
    """Whom a host of a ring asks: those before it, back to the nearest giver, and givers right after it. Nobody ever
    waits for one that waits for him: each asks those that are nearer to their giver."""
    if name in givers or not givers:
        return ()
    at = ring.index(name)
    before = _until(givers, (ring[at - step] for step in range(1, len(ring))))
    after = (ring[(at + step) % len(ring)] for step in range(1, REACH + 1))
    asked = (*tuple(before)[:REACH], *(host for host in after if host in givers))
    return tuple(host for host in dict.fromkeys(asked) if host not in away)


def _until(givers: Collection[str], hosts: Iterable[str]) -> Iterator[str]:
    for host in hosts:
        yield host
        if host in givers:
            return


def givers(ring: tuple[str, ...], file: ModelFile, seen: Mapping[str, Seen]) -> tuple[str, ...]:
    """Those that have a file; where nobody has it, the one that fetches it: who has begun, else the first by name."""
    here = [name for name in ring if name in seen and seen[name].reached]
    having = tuple(name for name in here if _has(seen[name], file))
    begun = [name for name in here if f"{file.path}.part" in seen[name].ours.get("models", ())]
    return having or tuple((*begun, *here)[:1])


def _has(seen: Seen, file: ModelFile) -> bool:
    """Checked there, and what the release names."""
    found = observed.of(seen, f"model:{file.path}")
    if not isinstance(found, Value) or not found.value.get("sha256"):
        return False
    return file.sha256 in ("", found.value["sha256"])


def rings(wish: Wish) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """The hosts of a pool that need a file, by name: pool and path -> hosts, one where nothing is shared."""
    if not wish.rings:
        found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for host in sorted(wish.hosts, key=lambda host: host.name):
            for path in _shared(wish, host):
                found[host.pool, path].append(host.name)
        wish.rings.update((key, tuple(names)) for key, names in found.items())
    return wish.rings


def _near(ring: tuple[str, ...], name: str) -> Iterator[str]:
    at = ring.index(name)
    for step in range(1, min(REACH + 1, len(ring))):
        yield ring[at - step]
        yield ring[(at + step) % len(ring)]


def _shared(wish: Wish, host: Host) -> Iterator[str]:
    """Paths of files that a host needs and could give."""
    for item in items(wish, host):
        if isinstance(item, ModelFile) and not item.url.startswith("file:"):
            yield item.path


def items(wish: Wish, host: Host) -> tuple[Item, ...]:
    """Part engine's, made once: every host asks for those of all others."""
    if host.name not in wish.engine:
        wish.engine[host.name] = engine.items(wish, host)
    return wish.engine[host.name]
