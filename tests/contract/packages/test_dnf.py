"""Real dnf and rpm: what is newer, which of it is a fix, what a transaction brings with it, and what versionlock keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.enterprise import SUITE, root_of
from lab.machine import trouble
from lab.newer import fill_rpms
from lab.rpms import Rpm

from .conftest import Root

pytestmark = [pytest.mark.lab, pytest.mark.soak]  # its root is built first: two minutes

LONG = "a-package-with-a-name-so-long-that-dnf-breaks-the-row-of-its-table-in-two"
OLD = [
    Rpm("containerd.io", "1.7.27"),
    Rpm("docker-ce", "28.0.4", 3),
    Rpm("nvidia-open", "580.95.05", 3),
    Rpm("kept", "1"),
    Rpm(LONG, "1"),
]
NEW = [
    Rpm("openssl", "3.2.3"),
    Rpm("ca-certificates", "2025.1"),
    Rpm("containerd.io", "1.7.28"),
    Rpm("docker-ce", "28.0.5", 3, requires=("containerd.io >= 1.7.28", "new-dependency")),
    Rpm("new-dependency"),
    Rpm("nvidia-open", "580.105.08", 3),
    Rpm("kept", "2"),
    Rpm(LONG, "2"),
]
LOCKS = "# Added lock on Mon Nov 30 06:00:00 2026\nnvidia-open-3:580.95.05-1.el9.*\nkept-0:1-1.el9.*\n"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    if why := trouble():
        pytest.fail(f"this machine cannot host a lab: {why}")
    made = Root(root_of(SUITE) / "root", tmp_path)
    fill_rpms(made.file("srv/old/x").parent, OLD, ())
    fill_rpms(made.file("srv/newer/x").parent, NEW, ("openssl",))
    source = "[newer]\nname=newer\nbaseurl=file:///srv/newer\nenabled=1\ngpgcheck=0\n"
    made.file("etc/yum.repos.d/rocky.repo").write_text(source)
    made.file("etc/dnf/plugins/versionlock.list").write_text(LOCKS)
    made.run(["sh", "-c", "rpm -U /srv/old/*.rpm"])
    return made


def versions(root: Root, *names: str) -> list[str]:
    return root.run(["rpm", "-q", "--qf", "%{VERSION}\\n", *names]).stdout.split()


def test_what_is_newer_by_kind(root: Root) -> None:
    seen = root.ask("upgrade-look", kinds=["security", "docker"])
    due = {step["name"]: (step["kind"], step["now"], step["then"]) for step in seen["due"]}
    assert due == {
        "openssl": ("security", "3.2.2-1.el9", "3.2.3-1.el9"),
        "ca-certificates": ("packages", "2024.2-1.el9", "2025.1-1.el9"),
        LONG: ("packages", "1-1.el9", "2-1.el9"),
        "containerd.io": ("docker", "1.7.27-1.el9", "1.7.28-1.el9"),
        "docker-ce": ("docker", "3:28.0.4-1.el9", "3:28.0.5-1.el9"),
        "nvidia-open": ("driver", "3:580.95.05-1.el9", "3:580.105.08-1.el9"),
    }
    assert (seen["kept"], seen["effect"]) == (["kept"], "none")
    assert {s["name"] for s in seen["steps"]} == {"openssl", "containerd.io", "docker-ce", "new-dependency"}
    assert root.steps("packages").keys() == {"ca-certificates", LONG}


def test_a_transaction_moves_what_it_said_and_keeps_the_driver_again(root: Root) -> None:
    names = ["docker-ce", "nvidia-open"]
    root.ask("upgrade-look", kinds=["docker", "driver"])
    root.ask("upgrade-fetch", names=names)
    root.ask("upgrade-install", names=names)
    assert versions(root, "docker-ce", "containerd.io", "nvidia-open", "kept", "openssl") == ["28.0.5", "1.7.28", "580.105.08", "1", "3.2.2"]  # fmt: skip
    locks = root.run(["cat", "/etc/dnf/plugins/versionlock.list"]).stdout
    assert "nvidia-open-3:580.105.08-1.el9.*" in locks
    assert "580.95.05" not in locks
    assert "kept-0:1-1.el9.*" in locks
