"""The codec is an exact inverse, and refuses what it does not know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hostler.codec import DecodeError, decode, encode
from hostler.hosts.types import Absent, Slot
from hostler.manifest.contents import MadeOnHost, Text
from hostler.manifest.items import Container, Effect, File, Health, ImagePin, Manifest, Mount, Part
from hostler.models.types import Member, ModelSource, Release, ReleasedModel, Replica, Runs
from hostler.record.types import Before, Expected, Journal, Key, Record

IMAGE = ImagePin(name="ghcr.io/x/y", tag="server", digest="sha256:" + "0" * 64)
CONTAINER = Container(
    id="chat-0",
    part=Part.ENGINE,
    image=IMAGE,
    argv=("-m", "/models/a b.gguf"),
    uid="u",
    mounts=(Mount(source="/a", target="/b"),),
    env=(("A", "1"),),
    cards=("GPU-1",),
    health=Health(port=18080),
)
RUNS = Runs(
    engine="llama.cpp",
    image=IMAGE,
    weights=ModelSource(source="s", url="u", file="f", size=1, sha256=""),
    argv=("-c", "1"),
    context=1,
    slots=1,
    need_mib=5,
)
RECORD = Record(
    uid="u",
    stack="s",
    releases=(
        Release(number=1, models={"chat": ReleasedModel(asked="a", runs=RUNS)}, parts={"gateway": IMAGE}),
    ),
    replicas=(Replica(id="chat-0", model="chat", members=(Member(host="h", cards=("c",), port=1),)),),
    slots={"burst-0": Slot(name="burst-0", state="parked")},
    expected={"h": Expected(machine_id="m", cards=(("GPU-1", "A10G", 23028),))},
    keys=(Key(name="default", sha256="0", made=1.5),),
    journal=Journal(run="r", stage="apply", release=2, before=Before(gateway_host="h")),
)
MANIFEST = Manifest(
    host="h",
    uid="u",
    epoch=1,
    release=1,
    files=(
        File(path="/a", part=Part.EDGE, content=Text(text="x\n"), effect=Effect.RELOAD),
        File(path="/b", part=Part.EDGE, content=MadeOnHost(host="g", made="edge.crt")),
    ),
    containers=(CONTAINER,),
)


@pytest.mark.parametrize(
    "value", [RECORD, MANIFEST, CONTAINER, Absent(at=1.0)], ids=lambda v: type(v).__name__
)
def test_round_trip(value: Any) -> None:
    assert decode(type(value), json.loads(json.dumps(encode(value)))) == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nmae": 1}, "unknown nmae"),
        ({"uid": 5}, "Record.uid: expected str; got int"),
        ({"number": True}, "Record.number: expected a whole number; got bool"),
        ({"slots": {"b": {"name": "b", "state": "gone"}}}, "expected one of"),
    ],
)
def test_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode(Record, {**encode(RECORD), **change})


def test_missing_key_is_named() -> None:
    with pytest.raises(DecodeError, match="uid missing"):
        decode(Record, {"stack": "s"})
