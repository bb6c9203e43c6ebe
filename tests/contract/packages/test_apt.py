"""Real apt and dpkg: what is newer, what a transaction brings with it, what is held, and one that fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab import newer
from lab.machine import trouble
from lab.newer import Made
from lab.roots import base_root

from .conftest import Root

pytestmark = pytest.mark.lab

OLD = [
    Made(name, "1.0")
    for name in ("lab-tls", "tzdata-lab", "docker-buildx", "linux-image-lab", "kept-lab", "rival")
]
FIXES = [Made("lab-tls", "1.1")]
NEW = [
    Made("tzdata-lab", "1.1"),
    Made("docker-buildx", "1.1", depends="new-dependency"),
    Made("new-dependency", "1.0"),
    Made("linux-image-lab", "1.1", postinst="touch /var/run/reboot-required"),
    Made("kept-lab", "1.1"),
    Made("rival", "1.1", depends="not-there"),
]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    if why := trouble():
        pytest.fail(f"this machine cannot host a lab: {why}")
    made = Root(base_root("bookworm") / "root", tmp_path)
    made.file("etc/apt/sources.list").write_text("")
    offered(made, "security", FIXES)
    offered(made, "debian", NEW)
    for package in OLD:
        shutil.copy(newer.made(package), made.file(f"srv/old/{package.name}.deb"))
    made.run(["sh", "-c", "dpkg -i /srv/old/*.deb && apt-mark hold kept-lab && apt-mark auto docker-buildx"])
    return made


def offered(root: Root, origin: str, packages: list[Made]) -> None:
    place = root.file(f"srv/{origin}/x").parent
    newer.fill(place, origin, [newer.made(package) for package in packages])
    source = f"deb [trusted=yes] file:/srv/{origin} ./\n"
    root.file(f"etc/apt/sources.list.d/{origin}.list").write_text(source)


def version(root: Root, name: str) -> str:
    return root.run(["dpkg-query", "-W", "-f", "${Version}", name]).stdout


def test_what_is_newer_by_kind(root: Root) -> None:
    seen = root.ask("upgrade-look", kinds=["security"])
    due = {step["name"]: (step["kind"], step["now"], step["then"]) for step in seen["due"]}
    assert due == {
        "lab-tls": ("security", "1.0", "1.1"),
        "tzdata-lab": ("packages", "1.0", "1.1"),
        "docker-buildx": ("docker", "1.0", "1.1"),
        "new-dependency": ("packages", "", "1.0"),
        "linux-image-lab": ("kernel", "1.0", "1.1"),
    }
    assert (seen["kept"], seen["reboot"]) == (["kept-lab", "rival"], [])
    assert [step["name"] for step in seen["steps"]] == ["lab-tls"]
    assert seen["size"] > 0
    assert root.steps("docker") == {"docker-buildx": "docker", "new-dependency": "packages"}
    assert root.ask("upgrade-look", kinds=["docker", "kernel"])["effect"] == "reboot"


def test_a_transaction_moves_what_it_said_and_nothing_else(root: Root) -> None:
    names = ["docker-buildx", "linux-image-lab"]
    assert set(root.steps("docker", "kernel")) == {*names, "new-dependency"}
    root.ask("upgrade-fetch", names=names)
    assert version(root, "docker-buildx") == "1.0"
    root.ask("upgrade-install", names=names)
    assert [version(root, one.name) for one in OLD] == ["1.0", "1.0", "1.1", "1.1", "1.0", "1.0"]
    assert "docker-buildx" in root.run(["apt-mark", "showauto"]).stdout
    assert root.steps("docker", "kernel") == {}
    assert root.ask("upgrade-look", kinds=[])["reboot"] == ["asked for by a package"]


def test_one_that_fails_is_told_and_refused_the_next_time(root: Root) -> None:
    offered(root, "debian", [Made("docker-buildx", "1.2", postinst="echo no such thing; exit 1")])
    root.ask("upgrade-look", kinds=["docker"])
    failed = root.ask("upgrade-install", names=["docker-buildx"], rc=1)
    assert "error processing package docker-buildx" in failed["message"]
    assert "no such thing" in failed["log"]
    again = root.ask("upgrade-look", kinds=["security"], rc=1)
    assert again["message"] == "half installed: docker-buildx"
    assert "dpkg --configure -a" in again["next"]


def test_sources_that_do_not_answer(root: Root) -> None:
    root.run(["rm", "-r", "/srv/security"])
    seen = root.ask("upgrade-look", kinds=["packages"], rc=1)
    assert seen["error"] == "packages"
    assert "/srv/security" in seen["message"]
