"""Weights that come from the machine that runs Hostler: whether they can, and the doors through which they do."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hostler.carry.giver import Giver
from hostler.carry.origins import Address, LocalFile, Origin
from hostler.configure import sharing
from hostler.configure.types import Change, Notice, Plan
from hostler.console.out import Out
from hostler.errors import RefusedError
from hostler.hosts.types import Host
from hostler.manifest.items import Manifest, ModelFile
from hostler.models import lying, mirror
from hostler.models.http import Http
from hostler.models.operator_files import OperatorFiles
from hostler.models.types import ModelSource, Release, WeightsFile
from hostler.rollout import secret
from hostler.stackfile import foreign
from hostler.stackfile.sections import StackFile

ALIVE_S = 30.0  # of silence of a hub


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Manifests that know their hosts' doors, and the token with which these ask; empty: nobody needs one."""

    manifests: Mapping[str, Manifest]
    token: str = ""


def fetched(manifests: Mapping[str, Manifest], changes: Sequence[Change]) -> dict[str, list[ModelFile]]:
    """What this machine gives: files that a host lacks and nobody else of the stack gives it, by host."""
    found: dict[str, list[ModelFile]] = {}
    for change in changes:
        kind, _, path = change.item.partition(":")
        if kind != "model" or change.action == "remove" or change.host not in manifests:
            continue
        manifest = manifests[change.host]
        found.setdefault(change.host, []).extend(
            item
            for item in manifest.models
            if item.path == path and not item.peers and sharing.by_operator(manifest.downloads, item)
        )
    return {host: items for host, items in found.items() if items}


def notices(
    file: StackFile, release: Release, manifests: Mapping[str, Manifest], changes: Sequence[Change]
) -> Iterator[Notice]:
    """Models of this machine that cannot be what the release says: it is not here and a host lacks it, or it is another
    file since. What nobody lacks need not be here."""
    files = OperatorFiles(_folder(file))
    lacking = fetched(manifests, changes)
    for name, model in release.models.items():
        weights = model.runs.weights
        if not lying.is_operators(weights) or name not in file.stack.models or _source(name) in file.foreign:
            continue  # of what only the record names nothing is read: who lacks it gets a refusal
        paths = {lying.on_host(weights, one) for one in weights.files}
        hosts = sorted(host for host, items in lacking.items() if paths & {item.path for item in items})
        wrong = next(_wrong(weights, files, hosts), None)
        if wrong:
            where = file.where(_source(name))
            yield replace(wrong, where=where, expected=wrong.expected + f", as in release {release.number}")


def _wrong(weights: ModelSource, files: OperatorFiles, hosts: Sequence[str]) -> Iterator[Notice]:
    for one in weights.files:
        path = Path(lying.on_operator(weights, files.folder, one))
        if not path.is_file():
            if hosts:
                yield _absent(path, one, hosts)
        elif (got := _other(path, one, files, sure=bool(hosts))) is not None:
            yield _changed(weights, path, one, got)


def _other(path: Path, file: WeightsFile, files: OperatorFiles, *, sure: bool) -> str | None:
    """What it is instead; None: it is what the release names. `sure`: it is read, if that has never been done here."""
    if path.stat().st_size == file.size and not sure and not files.was_known(path):
        return None
    digest = files.digest(path)
    return digest if digest != file.sha256 else None


def _absent(path: Path, file: WeightsFile, hosts: Sequence[str]) -> Notice:
    return Notice(
        level="refuse",
        expected=f"{path.name} with SHA-256 {file.sha256} on this machine, since {', '.join(hosts)} lacks it",
        text=f"nothing at {path}",
        next_step="run it on the machine that has the file, or copy it here",
    )


def _changed(weights: ModelSource, path: Path, file: WeightsFile, got: str) -> Notice:
    alone = len(weights.files) == 1
    new = (
        f"write `sha256: {got}` beside its source"
        if alone
        else "give it another name, and write that as its source"
    )
    return Notice(
        level="refuse",
        expected=f"{path.name} with SHA-256 {file.sha256}",
        text=f"another file at {path}, with SHA-256 {got}",
        next_step=f"put the old one back; or, to serve the new one, {new}",
    )


@contextmanager
def giving(
    plan: Plan, file: StackFile, hosts: Sequence[Host], changes: Sequence[Change], out: Out
) -> Generator[Open]:
    """Doors on the hosts that fetch from here, open inside. Raises HostError."""
    manifests = plan.manifests
    wanted = fetched(manifests, changes)
    if not wanted:
        yield Open(manifests=manifests)
        return
    from hostler.hosts.forward import forwarded

    origin = _Origins(file, plan.release)
    offers = {
        host: {sharing.place(item): origin.of(item) for item in items} for host, items in wanted.items()
    }
    giver = Giver(offers, out.live, out.say)
    known = {host.name: host for host in hosts}
    with ExitStack() as stack:
        ports = {
            name: stack.enter_context(forwarded(known[name], partial(giver.answer, name))) for name in offers
        }
        yield Open(manifests={**manifests, **_with_doors(manifests, ports)}, token=giver.token)


class _Origins:
    """Where the bytes of a file come from: this machine, or an address that is read through it."""

    def __init__(self, file: StackFile, release: Release) -> None:
        self._file, self._hub, self._http = file, mirror.of(file.stack).hub, Http(timeout=ALIVE_S)
        self._files = OperatorFiles(_folder(file))
        self._here = {
            lying.on_host(weights, one): (name, Path(lying.on_operator(weights, _folder(file), one)))
            for name, model in release.models.items()
            if lying.is_operators(weights := model.runs.weights)
            for one in weights.files
        }

    def of(self, item: ModelFile) -> Origin:
        name = item.path.rpartition("/")[2]
        if found := self._here.get(item.path):
            return LocalFile(name=name, path=self._checked(*found, item), size=item.size, sha256=item.sha256)
        token = secret.value(self._file, item.secret) if item.secret else ""
        return Address(name=name, url=mirror.hub(self._hub, item.url), token=token, http=self._http)

    def _checked(self, model: str, path: Path, item: ModelFile) -> Path:
        """What is given is what the release means: by its content, since the record, which a host keeps, says the path."""
        foreign.refuse(self._file, _source(model))
        if path.is_file() and (got := self._files.digest(path)) != item.sha256:
            raise RefusedError.of(
                str(path),
                expected=f"the file that the release of {model} means, with SHA-256 {item.sha256}",
                got=f"another one, with SHA-256 {got}",
                next_step="put that one back; `hostler up` makes a release of what is there now",
            )
        return path


def _with_doors(manifests: Mapping[str, Manifest], ports: Mapping[str, int]) -> dict[str, Manifest]:
    return {
        name: replace(manifests[name], downloads=replace(manifests[name].downloads, door=port))
        for name, port in ports.items()
    }


def by_hand(manifests: Mapping[str, Manifest], changes: Sequence[Change]) -> list[str]:
    """A line for each file that playbooks which are run by hand do not bring."""
    return [
        f"note: {host}: {item.path} comes from this machine, which playbooks by hand do not bring: run `hostler up`, "
        "or copy it there (it is checked)"
        for host, items in sorted(fetched(manifests, changes).items())
        for item in items
    ]


def _source(model: str) -> str:
    return f"models.{model}.source"


def _folder(file: StackFile) -> str:
    return str(Path(file.path).resolve().parent)
