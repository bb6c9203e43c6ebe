"""An upgrade of hosts: the order, what cannot be had without downtime, and what becomes of a host that fails."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from hostler.console import upgrade as show
from hostler.console.out import Out
from hostler.errors import ConfigureError, HostlerError, RefusedError, UsageError
from hostler.hosts.trouble import AgentError
from hostler.hosts.types import Seen, Ssh, Value
from hostler.models.types import Replica
from hostler.record.types import Journal, Record
from hostler.rollout import downtime, elsewhere, rebooting, upgrade, upgrading, verify
from hostler.rollout.observe import Observation
from hostler.rollout.upgrade import Options
from hostler.rollout.upgrading import Looked, Package
from worlds import configure_world as world

READY = Value({"health": 200, "draining": False}, world.AT)
UP = Value({"status": "UP"}, world.AT)
ENGINE = Package(name="docker.io", now="1", then="2", kind="docker")
FIX = Package(name="openssl", now="1", then="2", kind="security")
KERNEL = Package(name="linux-image-amd64", now="1", then="2", kind="kernel")


def look(*places: str, hold: str = "", **change: Any) -> Observation:
    """chat-0, chat-1 ... on those hosts, all of which serve; the gateway is on gpu-1."""
    one, hosts = world.placement("gpu-1").replicas[0], world.hosts()
    there = tuple(
        replace(one, id=f"chat-{i}", members=(replace(one.members[0], host=host),))
        for i, host in enumerate(places)
    )
    text = world.STACK.replace("replicas: 2", f"replicas: 2{', hold: ' + hold if hold else ''}")
    routes = {f"route:{r.id}": UP for r in there} | {
        f"path:{downtime.HOLDS}": Value({"type": "file"}, world.AT)
    }
    seen = {
        host.name: replace(
            world.bare(i),
            observed={
                **{f"replica:{r.id}": READY for r in there if r.members[0].host == host.name},
                **(routes if i == 1 else {}),
            },
            uid=world.UID,
        )
        for i, host in enumerate(hosts, 1)
    }
    record = replace(
        world.record(), replicas=there, releases=(world.release(),), release=1, gateway_host="gpu-1"
    )
    found = Observation(
        file=world.stack(text), hosts=hosts, gone=(), seen=seen, record=record, gateway=hosts[0]
    )
    return replace(found, **change)


def found(host: str, *steps: Package, effect: str = "none", **more: Any) -> Looked:
    effects: dict[str, str] = dict.fromkeys(upgrading.KINDS, effect)
    return Looked(host=host, due=steps, steps=steps, effect=effect, effects=effects, **more)


def outlook(observation: Observation, *looks: Looked, **how: Any) -> upgrading.Outlook:
    assert observation.record
    return upgrading.outlook(observation, observation.record, looks, **how)


def gaps(observation: Observation, *looks: Looked, **how: Any) -> dict[str, tuple[str, bool]]:
    return {gap.host: (gap.why, gap.held) for gap in outlook(observation, *looks, **how).away}


def test_the_least_important_host_first_and_the_gateways_last() -> None:
    both = [found("gpu-1", ENGINE, effect="drain"), found("gpu-2", ENGINE, effect="drain")]
    made = outlook(look("gpu-2", "gpu-2", "gpu-1"), *both)
    assert [turn.host for turn in made.turns] == ["gpu-2", "gpu-1"]
    assert [[r.id for r in turn.replicas] for turn in made.turns] == [["chat-0", "chat-1"], ["chat-2"]]


def test_two_replicas_on_two_hosts_are_not_missed() -> None:
    both = [found("gpu-1", ENGINE, effect="drain"), found("gpu-2", KERNEL, effect="reboot")]
    assert gaps(look("gpu-1", "gpu-2"), *both) == {}


@pytest.mark.parametrize(
    ("places", "effect", "hold", "why"),
    [
        (["gpu-2"], "none", "", None),
        (["gpu-2"], "drain", "", ""),
        (["gpu-2", "gpu-2"], "drain", "", ""),
        (["gpu-2"], "drain", "none", "`hold: none`"),
        (["gpu-2"], "drain", "{for: 30s}", "at most 30 s"),
        (["gpu-2"], "stop", "", "another version of Docker"),
        (["gpu-2"], "reboot", "", "gpu-2 reboots, and nothing else serves it"),
    ],
    ids=["plain", "held", "two on one host", "told not to", "too short", "stops", "reboots"],
)
def test_who_cannot_answer_meanwhile(places: list[str], effect: str, hold: str, why: str | None) -> None:
    """None: everybody answers; empty: requests wait."""
    made = gaps(look(*places, hold=hold), found("gpu-2", ENGINE, effect=effect))
    if why is None:
        assert made == {}
    else:
        said, is_held = made["gpu-2"]
        assert (why in said, is_held) == (True, why == "")


@pytest.mark.parametrize(("effect", "missed"), [("drain", False), ("stop", True), ("reboot", True)])
def test_the_gateways_host_takes_all_models_with_it(effect: str, missed: bool) -> None:
    made = gaps(look("gpu-1", "gpu-2"), found("gpu-1", ENGINE, effect=effect))
    assert bool(made) == missed
    assert not missed or "the gateway is on gpu-1" in made["gpu-1"][0]


def refusals(observation: Observation, *looks: Looked, yes: bool = False, allow: bool = False) -> str:
    made = outlook(observation, *looks)
    return "; ".join(map(str, upgrading.refusals(observation, made, allow_downtime=allow, yes=yes)))


def test_downtime_needs_a_yes_of_its_own_and_says_minutes() -> None:
    only = look("gpu-2")
    assert "about 3 min; gpu-2 reboots" in refusals(only, found("gpu-2", KERNEL, effect="reboot"))
    assert refusals(only, found("gpu-2", KERNEL, effect="reboot"), allow=True) == ""
    assert refusals(only, found("gpu-2", ENGINE, effect="drain")) == ""


def test_this_machine_is_not_rebooted() -> None:
    mine = look(
        "gpu-1", "gpu-2", hosts=(world.hosts()[0], replace(world.hosts()[1], ssh=Ssh(address="local")))
    )
    assert "got local" in refusals(mine, found("gpu-2", KERNEL, effect="reboot"), allow=True)
    assert refusals(mine, found("gpu-2", ENGINE, effect="drain")) == ""


def test_containers_of_others_are_not_stopped_unasked() -> None:
    seen = look("gpu-1", "gpu-2")
    busy = replace(seen.seen["gpu-2"], facts=world.facts(2, docker_foreign=7))
    seen = replace(seen, seen={**seen.seen, "gpu-2": busy})
    assert refusals(seen, found("gpu-2", KERNEL, effect="reboot")) == ""
    assert "7 of others" in refusals(seen, found("gpu-2", KERNEL, effect="reboot"), yes=True)
    assert refusals(seen, found("gpu-2", ENGINE, effect="drain"), yes=True) == ""


@pytest.mark.parametrize(
    ("how", "rebooted"),
    [
        ({}, []),
        ({"reboot": True}, ["gpu-1"]),
        ({"reboot": True, "named": ("gpu-2",)}, ["gpu-2", "gpu-1"]),
    ],
)
def test_who_is_rebooted(how: dict[str, Any], rebooted: list[str]) -> None:
    made = outlook(look("gpu-1", "gpu-2"), found("gpu-1", reboot=("a kernel",)), found("gpu-2"), **how)
    assert [turn.host for turn in made.busy] == rebooted


class Hosts:
    """Agents that note what they are asked; `fails` maps "host op" to what is raised."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails: dict[str, BaseException] = {}
        self.journals: list[bool] = []
        self.effects: list[str] = []  # that were agreed to, of each installation

    def call(self, _self: Any, host: str, op: str, *_: Any, **request: Any) -> dict[str, Any]:
        self.asked.append(f"{host} {op}{' unproven' if request.get('unproven') else ''}")
        if op == "upgrade-install":
            self.effects.append(request["effect"])
        if error := self.fails.get(f"{host} {op}"):
            raise error
        return {"why": "packages", "replicas": ["chat-1"], "proven": ["chat-0", "chat-1"], "changed": True}

    def commit(self, session: Any, record: Record) -> None:
        session.record = record
        self.journals.append(record.journal is not None)
        assert record.journal is None or record.journal.file == record.file_digest


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    made = Hosts()

    @contextmanager
    def session(record: Record, at: Any, hosts: Any, *_: Any, **__: Any) -> Generator[Any]:
        made.asked.append("lock")
        yield upgrade.Session(
            run="r1", lock=Free(), gateway=at, hosts=tuple(hosts), out=quiet(), record=record,  # type: ignore[arg-type]
            transports={host.name: host.name for host in hosts},  # type: ignore[misc]
        )  # fmt: skip
        made.asked.append("unlock")

    monkeypatch.setattr(upgrade, "session", session)
    monkeypatch.setattr(upgrade.Session, "call", lambda s, *w, **k: made.call(s, *w, **k))
    monkeypatch.setattr(upgrade.Session, "commit", lambda s, record: made.commit(s, record))
    monkeypatch.setattr(verify, "routed", lambda _, replicas: made.asked.append(f"routed {names(replicas)}"))
    monkeypatch.setattr(rebooting, "reboot", lambda host, *_: made.asked.append(f"{host.name} reboot"))
    return made


@pytest.fixture(autouse=True)
def others(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Which hosts' replicas serve when they are looked at again."""
    made = {"gpu-1": True, "gpu-2": True}

    def probe_one(host: Any, names: list[str]) -> Seen:
        answers = {name: READY if name.startswith("replica:") else UP for name in names}
        return replace(world.bare(1), observed=answers if made[host] else {}, host=host)

    monkeypatch.setattr(elsewhere, "probe_one", probe_one)
    monkeypatch.setattr(elsewhere, "LIMIT_S", 0.0)
    return made


def test_nothing_is_drained_that_alone_serves_by_now(agents: Hosts, others: dict[str, bool]) -> None:
    """The other replica served when it was looked, and ended while packages were fetched."""
    others["gpu-2"] = False
    with pytest.raises(
        RefusedError, match=r"expected another replica to serve while gpu-1 is drained; got none: chat-1"
    ):
        applied(found("gpu-1", ENGINE, effect="drain"))
    assert "gpu-1 host-away" not in agents.asked
    assert agents.journals == [True, False]


def test_downtime_that_was_allowed_is_not_asked_for_again(agents: Hosts, others: dict[str, bool]) -> None:
    others["gpu-2"] = False
    seen = look("gpu-1", "gpu-2")
    made = outlook(seen, found("gpu-1", ENGINE, effect="drain"))
    upgrade.apply(seen, made, quiet(), Options(allow_downtime=True))
    assert "gpu-1 host-away" in agents.asked


class Free:
    def check(self) -> None: ...


def names(replicas: tuple[Replica, ...]) -> str:
    return " ".join(replica.id for replica in replicas)


def quiet() -> Out:
    return Out(stdout=io.StringIO(), stderr=io.StringIO())


def applied(*looks: Looked, observation: Observation | None = None) -> None:
    seen = observation or look("gpu-1", "gpu-2")
    upgrade.apply(seen, outlook(seen, *looks), quiet(), Options())


def test_one_host_after_the_other(agents: Hosts) -> None:
    applied(found("gpu-1", FIX, ENGINE, effect="drain"), found("gpu-2", KERNEL, effect="reboot"))
    assert agents.effects == ["reboot", "drain"]
    assert sorted(agents.asked[1:3]) == ["gpu-1 upgrade-fetch", "gpu-2 upgrade-fetch"]
    assert agents.asked[3:] == [
        *("gpu-2 host-away", "gpu-2 upgrade-install", "gpu-2 reboot", "gpu-2 host-back", "routed chat-1"),
        *("gpu-1 host-away", "gpu-1 upgrade-install", "gpu-1 host-back", "routed chat-0"),
        "unlock",
    ]
    assert agents.journals == [True, False]


def test_plain_packages_drain_nothing(agents: Hosts) -> None:
    applied(found("gpu-2", FIX))
    assert agents.asked == ["lock", "gpu-2 upgrade-fetch", "gpu-2 upgrade-install", "routed chat-1", "unlock"]
    assert agents.journals == []


def test_the_gateways_host_reboots_without_the_lock_which_is_on_it(agents: Hosts) -> None:
    applied(found("gpu-1", KERNEL, effect="reboot"))
    assert agents.asked == [
        *(
            "lock",
            "gpu-1 upgrade-fetch",
            "gpu-1 host-away",
            "gpu-1 upgrade-install",
            "unlock",
            "gpu-1 reboot",
        ),
        *("lock", "gpu-1 host-back", "routed chat-0", "unlock"),
    ]
    assert agents.journals == [True, False]


def test_what_goes_without_anyone_touches_nothing_that_serves(
    agents: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [found("gpu-1", FIX), found("gpu-2", FIX, ENGINE, effect="drain")]
    monkeypatch.setattr(upgrade, "observe", lambda *_, **__: look("gpu-1", "gpu-2"))
    monkeypatch.setattr(upgrade, "_looked", lambda *_: looks)
    made = upgrade.security(look("gpu-1", "gpu-2").file, quiet())
    assert [turn.host for turn in made.turns] == ["gpu-1"]
    assert [line for line in agents.asked if line.startswith("gpu-2")] == []


def failing(rc: int, kind: str = "packages") -> AgentError:
    made = AgentError.of("gpu-2", expected="it to succeed", got="no")
    made.rc, made.kind = rc, kind
    return made


@pytest.mark.parametrize(
    ("where", "rc", "raised", "under_way", "says"),
    [
        ("upgrade-fetch", 1, ConfigureError, [], ""),
        ("host-away", 3, RefusedError, [True, False], ""),
        ("upgrade-install", 1, ConfigureError, [True], "gpu-2 stays drained"),
        ("host-back", 1, ConfigureError, [True], "gpu-2 stays drained"),
    ],
)
def test_a_host_that_fails_is_the_last_that_is_touched(
    agents: Hosts, where: str, rc: int, raised: type[HostlerError], under_way: list[bool], says: str
) -> None:
    agents.fails[f"gpu-2 {where}"] = failing(rc)
    with pytest.raises(raised) as error:
        applied(found("gpu-1", ENGINE, effect="drain"), found("gpu-2", ENGINE, effect="drain"))
    assert says in error.value.problems[0].next_step
    assert "gpu-1 host-away" not in agents.asked
    assert agents.journals == under_way


def test_ctrl_c_while_requests_are_waited_for(agents: Hosts) -> None:
    agents.fails["gpu-2 host-away"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        applied(found("gpu-2", ENGINE, effect="drain"))
    assert agents.asked[-1] == "gpu-2 host-back unproven"


def answering(monkeypatch: pytest.MonkeyPatch, *broken: str) -> Observation:
    """Agents that say what is newer; of `broken` the package manager is."""

    def agent_call(transport: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if transport.name in broken:
            raise AgentError.of(transport.name, expected="it to succeed", got="half installed: docker.io")
        row = {"name": "openssl", "now": "1", "then": "2", "kind": "security"}
        none: dict[str, Any] = dict.fromkeys(("reboot", "kept", "warnings"), ())
        return {"due": [row], "steps": [row], "effect": "none", "effects": {}, "size": 1, **none}

    seen = look("gpu-1", "gpu-2")
    monkeypatch.setattr(upgrade, "agent_call", agent_call)
    monkeypatch.setattr(upgrade, "observe", lambda *_, **__: seen)
    return seen


def test_a_host_with_a_broken_package_manager_holds_no_fix_back_elsewhere(
    agents: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = answering(monkeypatch, "gpu-1")
    with pytest.raises(ConfigureError, match=r"gpu-1: .* half installed: docker\.io"):
        upgrade.security(seen.file, quiet())
    assert "gpu-2 upgrade-install" in agents.asked
    assert "gpu-1 upgrade-install" not in agents.asked


def test_one_that_is_broken_is_said_and_left_out_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, out = answering(monkeypatch, "gpu-1"), quiet()
    _, made = upgrade.look(seen.file, Options(), out)
    assert [turn.host for turn in made.busy] == ["gpu-2"]
    assert [problem.where for problem in made.failed] == ["gpu-1"]
    assert "warning: gpu-1 is left out: half installed" in out.stderr.getvalue()  # type: ignore[attr-defined]
    assert [row["failed"] for row in upgrading.as_rows(made)] == ["", "half installed: docker.io"]
    with pytest.raises(ConfigureError, match="half installed"):
        upgrade.look(seen.file, Options(hosts=("gpu-1", "gpu-2")), quiet())


def test_all_that_are_broken_are_no_upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigureError):
        upgrade.look(answering(monkeypatch, "gpu-1", "gpu-2").file, Options(), quiet())


def looking(monkeypatch: pytest.MonkeyPatch, observation: Observation, options: Options, **how: Any) -> Any:
    monkeypatch.setattr(upgrade, "observe", lambda *_, **__: observation)
    monkeypatch.setattr(upgrade, "_looked", lambda hosts, *_: [found(host.name) for host in hosts])
    return upgrade.look(observation.file, options, quiet(), **how)


def test_hosts_are_named_as_the_stack_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="gpu-1, gpu-2"):
        looking(monkeypatch, look("gpu-1"), Options(hosts=("gpu-9",)))
    _, made = looking(monkeypatch, look("gpu-1"), Options(hosts=("gpu-2",)))
    assert [turn.host for turn in made.turns] == ["gpu-2"]


def test_a_host_that_is_off_is_left_out_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = look("gpu-1")
    seen = replace(seen, seen={**seen.seen, "gpu-2": world.dead(2)})
    assert [turn.host for turn in looking(monkeypatch, seen, Options())[1].turns] == ["gpu-1"]
    with pytest.raises(HostlerError) as error:
        looking(monkeypatch, seen, Options(hosts=("gpu-2",)))
    assert error.value.code == 4


def test_another_change_that_was_interrupted_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = look("gpu-1")
    assert seen.record
    seen = replace(
        seen, record=replace(seen.record, journal=Journal(run="r", stage="apply", release=2, who="ann"))
    )
    looking(monkeypatch, seen, Options())
    with pytest.raises(RefusedError, match="begun by ann"):
        looking(monkeypatch, seen, Options(), changes=True)


def test_what_people_see() -> None:
    seen = look("gpu-2")
    looks = (
        found("gpu-2", FIX, ENGINE, effect="drain", kept=("vim",), reboot=("asked for by libc6",)),
        replace(found("gpu-1", KERNEL, effect="reboot"), steps=(), effect="none"),
    )
    out = quiet()
    made = outlook(seen, *looks)
    show.show(upgrading.as_rows(made), out, {gap.seconds: upgrading.spell(gap.seconds) for gap in made.away})
    table, told = out.stdout.getvalue(), out.stderr.getvalue()  # type: ignore[attr-defined]
    assert [line.split()[:3] for line in table.splitlines()[1:]] == [
        ["gpu-2", "security", "openssl"],
        ["gpu-2", "docker", "docker.io"],
        ["gpu-2", "reboot", "asked"],
        ["gpu-1", "kernel", "linux-image-amd64"],
    ]
    assert table.splitlines()[2].endswith("1 -> 2  drained")
    assert table.splitlines()[4].endswith("not taken")
    assert "held: chat waits about 1 min" in told
    assert "vim stays as it is" in told
