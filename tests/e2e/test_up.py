"""From bare hosts to a chat, and nothing more the second time."""

from __future__ import annotations

import json

import pytest

from e2e.desk import Desk, container, replica_of
from lab.hosts import Host

pytestmark = pytest.mark.lab


def test_bare_hosts_become_a_chat(steady: Desk) -> None:
    assert steady.first
    assert steady.first.code == 0
    assert "answered" in steady.first.err
    assert "Paris" in steady.ask()


def test_the_second_up_changes_nothing_and_runs_no_ansible(steady: Desk, hosts: dict[str, Host]) -> None:
    before = {name: container(host, "gateway") or container(host, "edge") for name, host in hosts.items()}
    done = steady.up("--json")
    assert done.json["changes"] == []
    assert "nothing to do" in done.err
    assert "changed " not in done.err
    assert before == {
        name: container(host, "gateway") or container(host, "edge") for name, host in hosts.items()
    }


def test_plan_check_is_0_when_there_is_nothing_to_do(steady: Desk) -> None:
    assert steady("plan", "--check", code=0).out == ""


def test_status_shows_everything_with_its_age(steady: Desk) -> None:
    report = steady("status", "--json").json
    assert [host["name"] for host in report["hosts"]] == ["gpu-1", "gpu-2"]
    assert len(report["cards"]) == 6
    assert {card["state"] for card in report["cards"]} == {"seen"}
    assert {replica["state"] for replica in report["replicas"]} == {"ready"}
    assert all(replica["age_s"] is not None for replica in report["replicas"])
    (model,) = report["models"]
    assert [model[key] for key in ("name", "replicas", "ready", "asleep")] == ["chat", 2, 2, 0]
    assert model["first_token_p95_s"] is None
    assert model["first_token_how"] != ""
    assert "chat" in steady("status").out


def test_engines_run_as_the_plan_says(steady: Desk, hosts: dict[str, Host]) -> None:
    for replica in steady("status", "--json").json["replicas"]:
        shown = json.loads(
            hosts[replica["host"]].run(["docker", "inspect", f"hostler-{replica['id']}"]).stdout
        )[0]
        how = shown["HostConfig"]
        assert how["ReadonlyRootfs"]
        assert how["CapDrop"] == ["ALL"]
        assert shown["Config"]["User"].split(":")[0] not in ("", "0", "root")
        assert how["RestartPolicy"]["Name"] in ("", "no")
        assert "127.0.0.1" in shown["Args"]
        assert how["DeviceRequests"][0]["DeviceIDs"] == replica["cards"]
        assert "@sha256:" in shown["Config"]["Image"]
        assert replica["context"] == 2048


def test_logs_of_a_replica(steady: Desk) -> None:
    assert "llama" in steady("logs", "chat-0").out.lower() or "srv" in steady("logs", "chat-0").out


def test_ssh_runs_words_on_a_host(steady: Desk) -> None:
    assert steady("ssh", "gpu-2", "hostname").out.strip() == "gpu-2"


def test_doctor_finds_nothing_bad(steady: Desk) -> None:
    findings = steady("doctor", "--json").json
    assert findings
    assert not [finding for finding in findings if finding["bad"]]


def test_a_saved_plan_is_applied_verbatim_or_refused(desk: Desk, hosts: dict[str, Host]) -> None:
    hosts["gpu-1"].run(["chmod", "0600", "/etc/hostler/gateway/models.map"])
    saved = desk.operator.home / "saved.plan"
    desk("plan", "--check", "--out", str(saved), code=10)
    hosts["gpu-1"].run(["chmod", "0640", "/etc/hostler/gateway/models.map"])
    refused = desk.up("--plan", str(saved), code=9)
    assert "changed since" in refused.err
    desk("plan", "--out", str(saved))
    desk.up("--plan", str(saved))
    assert desk.plan() == []


@pytest.mark.soak
def test_weights_that_lie_on_the_hosts(desk: Desk, hosts: dict[str, Host]) -> None:
    """A file of the user's own is served from where it is, and stays there."""
    for host in hosts.values():
        host.run(["sh", "-c", "cp /var/lib/hostler/models/*/*.gguf /srv/mine.gguf"])
    desk.edit('"hf:HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_1"', "/srv/mine.gguf")
    desk.up()
    assert "Paris" in desk.ask()
    assert desk.plan() == []
    for host in hosts.values():
        assert "/srv/mine.gguf" in host.run(["docker", "inspect", container(host, replica_of(host))]).stdout
        assert host.run(["ls", "/srv/mine.gguf"]).stdout


def test_pulumi_knows_the_hosts(steady: Desk) -> None:
    done = steady("pulumi", "--", "stack", "export")
    names = {r["urn"].rsplit("::", 1)[1] for r in json.loads(done.out)["deployment"]["resources"]}
    assert {"gpu-1", "gpu-2"} <= names


def test_a_card_that_fell_out_is_a_difference(desk: Desk, hosts: dict[str, Host]) -> None:
    hosts["gpu-2"].remove_card(1)
    plan = desk("plan", "--json").json
    assert [c["item"] for c in plan["changes"] if c["part"] == "pulumi"] == ["gpu-2"]
    assert "A10G" in json.dumps(plan)
    cards = {(c["name"], c["state"]) for c in desk("status", "--json").json["cards"] if c["host"] == "gpu-2"}
    assert ("NVIDIA A10G", "missing") in cards
