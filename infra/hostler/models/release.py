"""The next release: what changed in the file is resolved anew, everything else keeps what it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from hostler.errors import HostlerError
from hostler.manifest.items import ImagePin, Part
from hostler.models.types import Need, Release, ReleasedModel, Runs, Wanted
from hostler.record.types import Record
from hostler.stackfile.idling import has_controller
from hostler.stackfile.sections import Model, Stack

HAPROXY = "haproxy:3.4"
PYTHON = "python:3.13"  # with an SSH client, which the -slim images lack
PARTS = {"gateway": Part.GATEWAY, "edge": Part.EDGE, "controller": Part.CONTROLLER}
IMAGES = {"gateway": HAPROXY, "edge": HAPROXY, "controller": PYTHON}
AT_ONCE = 8  # requests side by side; a hub answers more with 429


class Resolve(Protocol):
    """models.resolver.Resolver, or a stand-in."""

    def model(self, name: str, model: Model, pools: Sequence[str], live: Runs | None = None) -> Runs: ...
    def image(self, reference: str, part: Part = Part.ENGINE) -> ImagePin: ...


def live_release(record: Record | None) -> Release | None:
    """The release that the record says is live."""
    releases = record.releases if record else ()
    return next((release for release in releases if record and release.number == record.release), None)


def parts_of(stack: Stack) -> tuple[str, ...]:
    """Names of the parts that are no models and have an image."""
    return tuple(PARTS) if has_controller(stack) else ("gateway", "edge")


def pools_of(stack: Stack, model: Model) -> tuple[str, ...]:
    """The pools that a model may run in: those it names, else all."""
    return model.pool or tuple(stack.pools)


def wanted_of(stack: Stack, release: Release) -> list[Wanted]:
    """What placement is asked for."""
    return [
        Wanted(
            model=name,
            pool=pools_of(stack, model),
            replicas=model.replicas,
            need=_need(release.models[name].runs),
            cards=model.cards if model.cards is not None else release.models[name].runs.cards or None,
            in_memory=release.models[name].runs.in_memory,
            parallel=release.models[name].runs.parallel,
            counts=release.models[name].runs.counts,
        )
        for name, model in stack.models.items()
    ]


def _need(runs: Runs) -> Need:
    return runs.need or Need(
        divided_mib=runs.need_mib, card_mib=0, how="estimated: the record has its sum only"
    )


def next_release(
    stack: Stack, record: Record | None, asked: Mapping[str, str], *, resolve: Resolve
) -> Release:
    """`asked` has the digest of each model's section. The live release itself when nothing differs.

    Raises the errors of all models and images together.
    """
    live = live_release(record)
    before: Mapping[str, ReleasedModel] = live.models if live else {}
    kept = {
        name: before[name] for name in stack.models if name in before and before[name].asked == asked[name]
    }
    changed = [name for name in stack.models if name not in kept]
    runs, parts = _resolve(stack, changed, before, dict(live.parts) if live else {}, resolve)
    fresh = {name: ReleasedModel(asked=asked[name], runs=run) for name, run in runs.items()}
    models = {name: kept.get(name) or fresh[name] for name in sorted(stack.models)}
    if live and models == dict(live.models) and parts == dict(live.parts):
        return live
    last = max((release.number for release in record.releases), default=0) if record else 0
    return Release(number=last + 1, models=models, parts=parts)


def _resolve(
    stack: Stack,
    changed: Sequence[str],
    before: Mapping[str, ReleasedModel],
    parts: dict[str, ImagePin],
    resolve: Resolve,
) -> tuple[dict[str, Runs], dict[str, ImagePin]]:
    wanted = parts_of(stack)
    lacking = [name for name in wanted if name not in parts]
    if not changed and not lacking:
        return {}, {name: parts[name] for name in wanted}

    def one(name: str) -> Runs:
        model = stack.models[name]
        live = before[name].runs if name in before else None
        return resolve.model(name, model, pools_of(stack, model), live)

    tasks: list[Callable[[], Runs | ImagePin]] = [lambda name=name: one(name) for name in changed]
    tasks += [lambda name=name: resolve.image(IMAGES[name], PARTS[name]) for name in lacking]
    results = _side_by_side(tasks)
    runs = {name: run for name, run in zip(changed, results, strict=False) if isinstance(run, Runs)}
    pins = {
        name: pin
        for name, pin in zip(lacking, results[len(changed) :], strict=True)
        if isinstance(pin, ImagePin)
    }
    return runs, {name: {**parts, **pins}[name] for name in wanted}


def _side_by_side[T](tasks: Sequence[Callable[[], T]]) -> list[T]:
    """All results in order, or all problems in one error."""
    with ThreadPoolExecutor(max_workers=max(1, min(AT_ONCE, len(tasks)))) as pool:
        futures = [pool.submit(task) for task in tasks]
    errors = [error for future in futures if (error := future.exception())]
    for error in errors:
        if not isinstance(error, HostlerError):
            raise error
    told = [error for error in errors if isinstance(error, HostlerError)]
    if told:
        problems = dict.fromkeys(problem for error in told for problem in error.problems)
        raise type(told[0])(*problems)
    return [future.result() for future in futures]
