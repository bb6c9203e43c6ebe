"""What updates without anyone put on the hosts, and what the controller itself then plans."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment

from hostler import resources
from hostler.configure import build, controller, difference, program, variables
from hostler.hosts import ways
from hostler.hosts.types import Absent, Host, Seen, Ssh, Value
from hostler.manifest.items import Manifest, Part
from hostler.node.site import sites
from worlds import configure_world as world

KEY = "ssh-ed25519 AAAAHOST"


def seen() -> dict[str, Seen]:
    made = Value({"sha256": "x", "pem": world.PEM["controller"]}, world.AT)
    key = Value({"type": "file", "text": KEY + " root@gpu\n"}, world.AT)
    more = {f"path:{controller.HOST_KEYS[0]}": key}
    found = {
        name: replace(one, observed={**one.observed, **more}) for name, one in world.seen_hosts().items()
    }
    home = found["gpu-1"]
    return {**found, "gpu-1": replace(home, observed={**home.observed, "made:controller": made})}


def manifests(known: dict[str, Seen] | None = None) -> dict[str, Manifest]:
    file = world.stack(world.ALONE)
    parts = (file, world.hosts(), seen() if known is None else known, world.release(), world.placement())
    return build.manifests(*parts, world.record(), {"HF_TOKEN": "d" * 64})


def of(manifest: Manifest) -> set[str]:
    return {item.path for item in manifest.files if item.part is Part.CONTROLLER}


def test_without_a_word_that_asks_for_it_nothing_is_there() -> None:
    assert not any(of(manifest) for manifest in world.manifests().values())


def test_each_host_lets_it_in_and_the_gateways_has_it() -> None:
    made = manifests()
    assert of(made["gpu-2"]) == {controller.SUDO, controller.KEYS}
    assert of(made["gpu-1"]) > {controller.SUDO, controller.KEYS, "/etc/hostler/controller/secrets/HF_TOKEN"}
    assert made["gpu-1"].made[-1] == "controller"
    assert [unit.name for unit in made["gpu-1"].units if unit.part is Part.CONTROLLER] == [
        "hostler-updates.timer"
    ]
    (image,) = (image for image in made["gpu-1"].images if image.part is Part.CONTROLLER)
    assert image.tag == "3.13"


def test_its_key_is_let_in_from_the_gateways_host_alone_and_for_commands_alone() -> None:
    for manifest in manifests().values():
        (keys,) = (file for file in manifest.files if file.path == controller.KEYS)
        text = variables.host_variables(manifest)["controller_files"]
        (entry,) = (one for one in text if one["path"] == controller.KEYS)
        assert entry["text"] == f'restrict,from="127.0.0.1,::1,10.0.0.1" {world.PEM["controller"]}'
        assert keys.mode == "0644"


def test_as_long_as_the_key_is_not_made_it_comes_from_the_host_that_makes_it() -> None:
    made = manifests(world.seen_hosts())
    for manifest in made.values():
        (entry,) = (
            one
            for one in variables.host_variables(manifest)["controller_files"]
            if one["path"] == controller.KEYS
        )
        made_there = {"gpu-1": {"base_certificates": {"controller": KEY}}}
        text = Environment(autoescape=True).from_string(str(entry["text"])).render(hostvars=made_there)
        assert unescape(text) == f'restrict,from="127.0.0.1,::1,10.0.0.1" {KEY}'


@pytest.mark.parametrize("strange", ["{{ 6 * 7 }}", "10.0.0.7 cert-authority", "", "fe80::1%eth0"])
def test_what_a_host_wrote_is_no_address_because_it_stands_there(strange: str) -> None:
    """It would be evaluated on this machine, and let in whoever it names."""
    known = world.seen_hosts()
    line = Value({"text": f'restrict,from="10.0.0.1,{strange}" {KEY}'}, world.AT)
    known["gpu-2"] = replace(
        known["gpu-2"], observed={**known["gpu-2"].observed, f"path:{controller.KEYS}": line}
    )
    made = variables.host_variables(manifests(known)["gpu-2"])["controller_files"]
    (text,) = (str(one["text"]) for one in made if one["path"] == controller.KEYS)
    assert 'restrict,from="127.0.0.1,::1,10.0.0.1" ' in text


def test_a_host_that_is_as_wanted_has_nothing_to_change() -> None:
    for number, (name, manifest) in enumerate(manifests().items(), 1):
        there = world.as_wanted(manifest, number)
        assert difference.difference(manifest, there) == (), name


def test_what_is_not_wanted_any_more_goes() -> None:
    there = world.as_wanted(manifests()["gpu-2"], 2)
    plain = world.manifests()["gpu-2"]
    gone = [c for c in difference.difference(plain, there) if c.part == Part.CONTROLLER]
    assert {c.item for c in gone} == {f"path:{controller.SUDO}", f"path:{controller.KEYS}"}
    made = variables.host_variables(plain, gone)
    assert (made["controller_wanted"], made["controller_home"], made["controller_files"]) == (
        False,
        False,
        [],
    )
    assert {one["path"] for one in made["controller_remove"]} == {controller.SUDO, controller.KEYS}


def test_what_was_written_and_not_started_anew_is_seen() -> None:
    """An `up` was interrupted in between: the mark that its role leaves is a difference, and not a file to remove."""
    role = resources.playbooks() / "roles/controller"
    assert yaml.safe_load((role / "vars/main.yml").read_text())["__controller_due"] == sites.DUE
    (writes,) = (
        task for task in yaml.safe_load((role / "tasks/main.yml").read_text()) if "hostler_files" in task
    )
    assert writes["hostler_files"]["due"] == "{{ __controller_due if controller_home else omit }}"
    manifest = manifests()["gpu-1"]
    there = world.as_wanted(manifest)
    there = replace(there, ours={**there.ours, "files": (*there.ours.get("files", ()), sites.DUE)})
    (change,) = found = difference.difference(manifest, there)
    assert (change.part, change.then) == ("controller", "loaded")
    made = variables.host_variables(manifest, found)
    assert made["hostler_parts"] == ["controller"]
    assert (made["controller_home"], made["controller_remove"]) == (True, [])
    assert made["controller_files"]
    assert made["controller_units"][controller.TIMER] is True


def test_it_is_told_where_each_host_is() -> None:
    (file,) = (f for f in manifests()["gpu-1"].files if f.path.endswith("/hosts.json"))
    told = json.loads(getattr(file.content, "text", ""))
    assert told["gpu-2"] == {"used": "10.0.0.2", "address": "10.0.0.2", "port": 22, "host_key": KEY}


def test_of_a_host_that_is_off_what_was_told_before_holds() -> None:
    before = manifests()["gpu-1"]
    (file,) = (f for f in before.files if f.path.endswith("/hosts.json"))
    known = seen()
    there = Value({"text": getattr(file.content, "text", "")}, world.AT)
    home = known["gpu-1"]
    known["gpu-1"] = replace(home, observed={**home.observed, f"path:{file.path}": there})
    known["gpu-2"] = world.dead(2)
    (after,) = (f for f in manifests(known)["gpu-1"].files if f.path.endswith("/hosts.json"))
    assert after == file


@pytest.fixture
def as_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / ways.HOSTS).write_text(
        json.dumps({"gpu-2": {"used": "gpu2.lan", "address": "192.0.2.2", "port": 2222, "host_key": KEY}})
    )
    (tmp_path / program.NAME).write_bytes(b"the program")
    monkeypatch.setenv(ways.ENVIRONMENT, str(tmp_path))
    program.archive.cache_clear()
    yield tmp_path
    program.archive.cache_clear()


def test_the_controller_comes_by_its_own_way_and_plans_what_people_plan(as_controller: Path) -> None:
    host = world.hosts()[1]
    way = ways.through(host).ssh
    assert (way.address, way.port, way.user, way.key, way.host_key) == (
        "192.0.2.2",
        2222,
        "hostler-updates",
        "/etc/hostler/tls/controller.key",
        KEY,
    )
    assert ways.used(host) == "gpu2.lan"
    assert program.archive() == b"the program"
    assert ways.text() == (as_controller / ways.HOSTS).read_text()


def rented_host(address: str = "198.51.100.7", name: str = "burst-0") -> Host:
    return Host(name=name, pool="burst", ssh=Ssh(address=address, key="/k", host_key=KEY), owned=False)


def test_a_machine_that_it_rented_itself_it_reaches_as_people_do(as_controller: Path) -> None:
    """The way that it was told leads to the machine that the slot had before."""
    told = json.loads((as_controller / ways.HOSTS).read_text())
    before = {"used": "203.0.113.5", "address": "203.0.113.5", "port": 22, "host_key": KEY}
    (as_controller / ways.HOSTS).write_text(json.dumps({**told, "burst-0": before}))
    ways._read.cache_clear()
    fresh, known = rented_host(), rented_host("203.0.113.5")
    assert ways.is_fresh(fresh)
    assert ways.is_fresh(rented_host(name="burst-1"))
    assert (ways.through(fresh), ways.used(fresh), ways.inner(fresh)) == (fresh, None, None)
    assert not ways.is_fresh(known)
    assert ways.is_fresh(
        replace(known, ssh=replace(known.ssh, host_key="ssh-ed25519 OTHER"))
    )  # at its address
    assert not ways.is_fresh(replace(known, ssh=replace(known.ssh, host_key=KEY + " burst-0")))
    assert not ways.is_fresh(replace(known, ssh=replace(known.ssh, host_key=None)))
    assert ways.through(known).ssh.user == ways.ACCOUNT
    assert (ways.used(known), ways.inner(known)) == ("203.0.113.5", "203.0.113.5")
    assert not ways.is_fresh(world.hosts()[0])


def test_nothing_is_fresh_where_people_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ways.ENVIRONMENT, raising=False)
    assert not ways.is_fresh(rented_host())
    assert ways.has_rights()


def test_it_has_rights_only_while_it_rents(as_controller: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ways.RIGHTS, raising=False)
    assert not ways.has_rights()
    monkeypatch.setenv(ways.RIGHTS, "1")
    assert ways.has_rights()


RENTS = """
controller: {rents: {credentials: AWS, passphrase: STATE}}
secrets: {AWS: {file: aws}, STATE: {file: state}}
"""
BURST = "pools:\n  burst: {aws: {regions: eu-central-1, instances: g5.xlarge}}\n"


def renting(known: dict[str, Seen], *more: Host) -> dict[str, Manifest]:
    one = world.ALONE.replace("chat: {source", "chat: {pool: [rack, burst], source")
    lines = one.replace("pools:\n", BURST).splitlines()
    text = "\n".join(line for line in lines if not line.startswith("secrets:")) + RENTS
    parts = (world.stack(text), (*world.hosts(), *more), known, world.release(), world.placement())
    return build.manifests(*parts, world.record(), {"AWS": "a" * 64, "STATE": "b" * 64})


def test_what_it_needs_to_rent_is_on_the_gateways_host_alone() -> None:
    home, plain = renting(seen())["gpu-1"], manifests()["gpu-1"]
    assert of(home) >= {
        "/etc/hostler/controller/secrets/AWS",
        "/etc/hostler/controller/secrets/STATE",
        "/etc/systemd/system/hostler-rent@.service",
    }
    assert "/etc/systemd/system/hostler-rent@.service" not in of(plain)
    (pins,) = (file for file in home.files if file.path.endswith("/requirements.txt"))
    assert "pulumi-aws==" in getattr(pins.content, "text", "")
    assert not any("rent" in path or "secrets" in path for path in of(renting(seen())["gpu-2"]))


def test_what_serves_requests_is_told_which_secrets_it_does_not_see() -> None:
    def rights(manifest: Manifest) -> object:
        (file,) = (one for one in manifest.files if one.path.endswith("/run.json"))
        return json.loads(getattr(file.content, "text", "")).get("rights")

    assert rights(renting(seen())["gpu-1"]) == ["AWS", "STATE"]
    assert rights(manifests()["gpu-1"]) is None


def test_it_tells_itself_of_a_machine_that_it_rented(as_controller: Path) -> None:
    told = json.loads((as_controller / ways.HOSTS).read_text())
    known = seen()
    known["burst-0"] = replace(known["gpu-2"], host="burst-0")

    def written(*more: Host) -> dict[str, object]:
        (file,) = (f for f in renting(known, *more)["gpu-1"].files if f.path.endswith("/hosts.json"))
        return json.loads(getattr(file.content, "text", ""))

    assert written() == told
    way = {"used": "198.51.100.7", "address": "198.51.100.7", "port": 22, "host_key": KEY}
    assert written(rented_host()) == {**told, "burst-0": way}


def test_the_program_is_whole_and_the_same_each_time() -> None:
    program.archive.cache_clear()
    first = program.archive()
    program.archive.cache_clear()
    assert program.archive() == first
    names = set(zipfile.ZipFile(BytesIO(first)).namelist())
    assert names > {
        "hostler/controller/__main__.py",
        "hostler/node/__main__.py",
        "hostler/share/playbooks/site.yml",
        "hostler/share/templates/hostler@.service.j2",
        "hostler/share/requirements.lock",
    }
    assert not any("__pycache__" in name for name in names)


def test_its_packages_are_all_that_it_imports_and_nothing_that_rents() -> None:
    pins = program.entries(program.requirements())
    assert set(pins) > {"ansible-core", "paramiko", "cryptography", "cffi", "huggingface-hub", "tenacity"}
    assert not {"pulumi", "boto3", "pytest", "grpcio"} & set(pins)
    more = set(program.entries(program.requirements(rents=True)))
    assert more > {*pins, "pulumi", "pulumi-aws", "boto3", "botocore", "grpcio", "s3transfer"}
    assert "pytest" not in more
    assert all("--hash=sha256:" in lines for lines in pins.values())


def test_an_absent_key_is_made() -> None:
    known = seen()
    manifest = manifests(known)["gpu-1"]
    there = world.as_wanted(manifest)
    gone = replace(there, observed={**there.observed, "made:controller": Absent(world.AT)})
    (change,) = difference.difference(manifest, gone)
    assert (change.part, change.action, change.then) == ("controller", "add", "an SSH key made on the host")


def test_what_is_written_stays_while_it_holds() -> None:
    """A network of containers that came, another person's way to a host: neither changes anything."""
    before = manifests()
    known = seen()
    for number, (name, manifest) in enumerate(before.items(), 1):
        known[name] = replace(
            world.as_wanted(manifest, number),
            observed={**known[name].observed, **world.as_wanted(manifest, number).observed},
        )
    home = known["gpu-1"]
    assert home.facts
    known["gpu-1"] = replace(
        home, facts=replace(home.facts, addresses=("10.0.0.1", "172.18.0.1", "2001:db8::7"))
    )
    hosts = tuple(replace(h, ssh=replace(h.ssh, port=2201, user="other")) for h in world.hosts())
    parts = (world.stack(world.ALONE), hosts, known, world.release(), world.placement(), world.record())
    after = build.manifests(*parts, {"HF_TOKEN": "d" * 64})
    for number, (name, manifest) in enumerate(after.items(), 1):
        assert difference.difference(manifest, world.as_wanted(before[name], number)) == (), name


def test_the_gateways_new_address_is_let_in() -> None:
    before = manifests()
    known = seen()
    line = Value({"text": f'restrict,from="127.0.0.1,::1,10.0.0.9" {world.PEM["controller"]}'}, world.AT)
    known["gpu-2"] = replace(
        known["gpu-2"], observed={**known["gpu-2"].observed, f"path:{controller.KEYS}": line}
    )
    (keys,) = (f for f in manifests(known)["gpu-2"].files if f.path == controller.KEYS)
    assert keys == next(f for f in before["gpu-2"].files if f.path == controller.KEYS)


def test_a_secret_that_this_machine_lacks_stays_as_it_is_there() -> None:
    file = world.stack(world.ALONE)
    parts = (file, world.hosts(), seen(), world.release(), world.placement(), world.record())
    theirs = build.manifests(*parts, {"HF_TOKEN": "d" * 64})["gpu-1"]
    mine = build.manifests(*parts, {"HF_TOKEN": ""})["gpu-1"]
    assert difference.difference(mine, world.as_wanted(theirs)) == ()
    assert "HF_TOKEN" not in variables.secrets_named({"gpu-1": mine})
    written = variables.host_variables(mine)["controller_files"]
    assert not any("secrets/HF_TOKEN" in one["path"] for one in written)
