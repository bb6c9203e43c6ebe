from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostler import resources
from hostler.errors import HostlerError
from hostler.gateway import render
from hostler.gateway.specs import EdgeSpec, GatewaySpec, Holding, OwnTls, Route, ServedModel
from hostler.manifest.contents import MadeOnHost, SecretRef, Text
from hostler.manifest.items import Effect, File, ImagePin, Part

CASES = Path(__file__).parents[2] / "cases" / "gateway"
IMAGE = ImagePin(name="haproxy", tag="3.4", digest="sha256:" + "0" * 64)
LOCAL = {"id": "chat-0", "host": "gpu-1", "port": 18080}
FAR = Route(id="chat-1", host="gpu-2", port=18080, edge_address="10.0.0.2")


def cases(name: str) -> list[dict[str, Any]]:
    return yaml.safe_load((CASES / f"{name}.yaml").read_text())


def gateway(*models: ServedModel, **more: Any) -> GatewaySpec:
    return GatewaySpec(**({"uid": "u", "host": "gpu-1", "image": IMAGE, "models": models} | more))


def served(*routes: Route, name: str = "chat") -> ServedModel:
    return ServedModel(name=name, replicas=routes)


def edge(**more: Any) -> EdgeSpec:
    fixed = {"uid": "u", "host": "gpu-2", "image": IMAGE, "replicas": (FAR,), "gateway_host": "gpu-1"}
    return EdgeSpec(**(fixed | more))


def by_path(files: tuple[File, ...]) -> dict[str, File]:
    return {file.path: file for file in files}


def text(files: tuple[File, ...], path: str) -> str:
    content = by_path(files)[path].content
    assert isinstance(content, Text)
    return content.text


@pytest.mark.parametrize("case", cases("servers"), ids=lambda case: case["id"])
def test_server_lines(case: dict[str, Any]) -> None:
    spec = gateway(served(Route(**case["route"])))
    lines = text(render.gateway_files(spec), "/etc/hostler/gateway/haproxy.cfg").splitlines()
    assert case["line"] in [line.strip() for line in lines]


def broken(case: dict[str, Any]) -> GatewaySpec:
    model = {"name": "chat", "replicas": (Route(**(LOCAL | case.get("route", {}))),)} | case.get("model", {})
    times = 2 if case.get("twice") else 1
    return gateway(*(ServedModel(**model) for _ in range(times)), **case.get("spec", {}))


@pytest.mark.parametrize(
    ("routes", "closes"),
    [
        ((Route(**LOCAL),), True),
        ((Route(**LOCAL), FAR), True),
        ((FAR,), False),
        ((Route(**LOCAL, keep_alive=True),), False),
        ((), False),
    ],
    ids=["local", "mixed", "behind an edge", "local, keeps connections", "none"],
)
def test_connections_that_engines_close_are_not_kept(routes: tuple[Route, ...], closes: bool) -> None:
    lines = text(render.gateway_files(gateway(served(*routes))), "/etc/hostler/gateway/haproxy.cfg")
    backend = lines.partition("backend model_chat")[2]
    assert ("set-header connection close" in backend, "http-reuse always" in backend) == (closes, not closes)


def test_what_does_not_wait_has_no_place_to() -> None:
    one = ServedModel(name="chat", replicas=(Route(**LOCAL),), hold=None)
    lines = text(render.gateway_files(gateway(one)), "/etc/hostler/gateway/haproxy.cfg")
    assert "frontend hold" not in lines
    assert "server held" not in lines


CFG = "/etc/hostler/gateway/haproxy.cfg"


@pytest.mark.parametrize("hold", [None, Holding(queue=3, seconds=7)], ids=["no hold", "hold"])
@pytest.mark.parametrize("routes", [(), (Route(**LOCAL),)], ids=["parked", "a replica"])
def test_what_sleeps_waits_and_then_goes_to_the_holder(
    hold: Holding | None, routes: tuple[Route, ...]
) -> None:
    wait = Holding(queue=5, seconds=600)
    one = ServedModel(name="chat", replicas=routes, hold=hold, sleeps=True, wait=wait)
    files = render.gateway_files(gateway(one))
    backend = text(files, CFG).partition("backend held_chat ")[2]
    servers = [line.split()[1] for line in backend.splitlines() if line.strip().startswith("server ")]
    assert servers == [*(route.id for route in routes), "moved", "wait", "holder"]
    assert f"retries {int((hold or wait).seconds)}\n" in backend
    assert 'holds = "held_chat"' in text(files, "/etc/hostler/gateway/hold.lua")
    assert backend.count("timeout server 1500s") == 1


def test_what_does_not_sleep_meets_no_holder_and_no_page() -> None:
    lines = text(render.gateway_files(gateway(served(Route(**LOCAL)))), CFG)
    for word in ("holder", "woken", "waking", "held.sock", "txn.page", "admins.map", "proxy-v2", "longest"):
        assert word not in lines


def test_admins_of_the_page() -> None:
    files = by_path(render.gateway_files(gateway(page=True, admins=(("b" * 64, "boss"),))))
    admins = files["/etc/hostler/gateway/admins.map"]
    assert admins.content == Text(text=f"{'b' * 64} boss\n")
    assert (admins.mode, admins.group) == ("0640", "hostler")
    assert "/etc/hostler/gateway/admins.map" not in by_path(render.gateway_files(gateway()))


def test_who_runs_the_controller_finds_its_places() -> None:
    paths = gateway().paths
    assert [paths.internal, paths.holder, paths.page, paths.states] == [
        f"/run/hostler/gateway/{name}"
        for name in ("internal.sock", "holder.sock", "page.sock", "states.json")
    ]


@pytest.mark.parametrize("case", cases("refused"), ids=lambda case: case["id"])
def test_words_that_are_none_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(HostlerError) as caught:
        broken(case)
    assert case["names"] in caught.value.problems[0].expected


def test_files_of_a_gateway() -> None:
    files = by_path(render.gateway_files(gateway(served(Route(**LOCAL), FAR), pins={"gpu-2": "f" * 64})))
    assert sorted(files) == [
        *(f"/etc/hostler/gateway/{status}.http" for status in (400, 408, 414, 431)),
        *(
            f"/etc/hostler/gateway/{name}"
            for name in ("drain.lua", "haproxy.cfg", "hold.lua", "keys.map", "models.lua", "models.map")
        ),
        "/etc/hostler/tls/peers/gpu-2.crt",
    ]
    assert {(file.effect, file.reload) for file in files.values()} == {
        (Effect.RELOAD, "hostler@gateway.service")
    }
    keys = files["/etc/hostler/gateway/keys.map"]
    assert (keys.mode, keys.owner, keys.group) == ("0640", "root", "hostler")
    pin = files["/etc/hostler/tls/peers/gpu-2.crt"].content
    assert pin == MadeOnHost(host="gpu-2", made="edge.crt", sha256="f" * 64)


def test_files_of_an_edge() -> None:
    files = by_path(render.edge_files(edge(gateway_pin="e" * 64)))
    assert {file.part for file in files.values()} == {Part.EDGE}
    assert {file.reload for file in files.values()} == {"hostler@edge.service"}
    assert files["/etc/hostler/tls/peers/gpu-1.crt"].content == MadeOnHost(
        host="gpu-1", made="gateway.crt", sha256="e" * 64
    )


def test_the_same_spec_gives_the_same_files() -> None:
    keys = (("b" * 64, "beta"), ("a" * 64, "alpha"))
    one, other = (gateway(served(FAR), keys=order) for order in (keys, keys[::-1]))
    assert render.gateway_files(one) == render.gateway_files(other)
    assert (
        text(render.gateway_files(one), "/etc/hostler/gateway/keys.map")
        == f"{'a' * 64} alpha\n{'b' * 64} beta\n"
    )


def test_no_key_is_anybody_s() -> None:
    assert text(render.gateway_files(gateway()), "/etc/hostler/gateway/keys.map") == ""


def test_a_key_of_one_s_own_certificate_is_named_only() -> None:
    tls = OwnTls(certificate="PEM", key=SecretRef(name="gateway.tls.key", sha256="c" * 64))
    files = by_path(render.gateway_files(gateway(tls=tls)))
    key = files["/etc/hostler/tls/server.key"]
    assert (key.content, key.mode, key.group) == (tls.key, "0640", "hostler")
    assert files["/etc/hostler/tls/server.crt"].content == Text(text="PEM")


@pytest.mark.parametrize(
    ("spec", "made"),
    [
        (gateway(served(Route(**LOCAL))), ()),
        (gateway(served(FAR)), ("gateway",)),
        (gateway(served(FAR), tls="private-ca"), ("gateway", "ca", "server")),
    ],
    ids=["alone", "with others", "private authority"],
)
def test_certificates_to_make(spec: GatewaySpec, made: tuple[str, ...]) -> None:
    assert render.gateway_made(spec) == made


def test_containers_see_no_more_than_they_need() -> None:
    for container, name in (
        (render.gateway_container(gateway()), "gateway"),
        (render.edge_container(edge()), "edge"),
    ):
        writable = [mount.source for mount in container.mounts if not mount.read_only]
        assert writable == [f"/run/hostler/{name}"]
        assert container.argv[-2:] == ("-f", f"/etc/hostler/{name}/haproxy.cfg")
        assert (container.stop_signal, container.effect, container.user) == (
            "SIGUSR1",
            Effect.RESTART,
            "hostler",
        )


def test_sockets_are_closed_to_others() -> None:
    folders = {folder.path: folder for folder in render.gateway_directories(gateway())}
    run = folders["/run/hostler/gateway"]
    assert (run.mode, run.owner, run.group) == ("0750", "hostler", "hostler")


def test_every_template_is_used() -> None:
    top = resources.templates()
    used = {"gateway/haproxy.cfg.j2", "gateway/common.j2", "gateway/models.lua.j2", "gateway/error.http.j2"}
    used |= {"gateway/hold.lua.j2"}
    found = {str(path.relative_to(top)) for name in ("gateway", "edge") for path in (top / name).iterdir()}
    assert found == used | {"edge/haproxy.cfg.j2"}


def test_models_are_lua_strings_of_json() -> None:
    model = ServedModel(name="org.m:q4", replicas=(), context=8192, created=7)
    lua = text(render.gateway_files(gateway(model)), "/etc/hostler/gateway/models.lua")
    line = next(line for line in lua.splitlines() if "org.m:q4" in line)
    described = json.loads(json.loads(line.partition("json = ")[2].removesuffix(" },")))
    assert described == {
        "id": "org.m:q4",
        "object": "model",
        "created": 7,
        "owned_by": "hostler",
        "max_model_len": 8192,
    }
