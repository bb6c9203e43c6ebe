"""The house: imports go one way, heavy libraries are imported where they are needed, rooms say what they are."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "infra" / "hostler"
ROOMS = sorted(p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists())

# a room may import those of a lower floor, and its own
FLOORS = [
    {"manifest", "stackfile"},
    {"engines", "models", "hosts", "record", "money"},
    {"placement", "cloud", "leases"},
    {"configure", "provision", "gateway", "carry", "proposal"},
    {"rollout", "console"},
    {"cli", "controller"},
]
SIDEWAYS = {  # on one floor, one way only
    ("models", "hosts"),
    ("models", "engines"),
    ("models", "record"),
    ("engines", "models"),
    ("record", "hosts"),
    ("record", "models"),
    ("configure", "gateway"),
    ("rollout", "console"),
    ("stackfile", "hosts"),
}
TYPES_ONLY = {("record", "models"), ("engines", "models"), ("stackfile", "hosts")}
HEAVY = {
    "pulumi",
    "pulumi_aws",
    "boto3",
    "botocore",
    "grpc",
    "paramiko",
    "ansible",
    "ansible_runner",
    "huggingface_hub",
    "jinja2",
    "yaml",
    "requests",
    "httpx",
}


# rooms of what runs on a host: each may import those before it
NODE = (
    "base",
    "docker",
    "weights",
    "packages",
    "cards",
    "doors",
    "site",
    "replica",
    "canary",
    "exchange",
    "watch",
    "upgrades",
    "probe",
    "owning",
    "idle",
    "leaving",
)


def modules() -> list[Path]:
    return [p for p in sorted(PACKAGE.rglob("*.py")) if "share" not in p.parts]


def imports(path: Path) -> list[tuple[str, int]]:
    """(module, line) of every import, in functions too; relative ones are the room's own."""
    found: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.extend((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found.extend(
                (name, node.lineno) for name in (names if node.module == "hostler" else [node.module])
            )
    return found


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def floor(room: str) -> int:
    return next((i for i, names in enumerate(FLOORS) if room in names), -1)


def test_every_room_has_a_floor() -> None:
    assert {r for r in ROOMS if r != "node"} == set().union(*FLOORS)


def test_imports_go_one_way() -> None:
    wrong: list[str] = []
    for path in modules():
        room = room_of(path)
        for module, line in imports(path):
            parts = module.split(".")
            if (
                parts[0] != "hostler"
                or len(parts) < 2
                or parts[1] not in ROOMS
                or not room
                or parts[1] == room
            ):
                continue
            below = floor(parts[1]) < floor(room)
            beside = (room, parts[1]) in SIDEWAYS and (
                (room, parts[1]) not in TYPES_ONLY or parts[2:3] == ["types"]
            )
            if room == "node" or not (below or beside):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {room} imports {module}")
    assert not wrong, "\n".join(wrong)


def rooms_named(path: Path) -> list[tuple[str, int]]:
    """(room, line) of every import of another of node's rooms: `from ..room import X`, `from ..room.module import X`."""
    found: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level > 1:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found.extend((name.split(".")[0], node.lineno) for name in names)
    return found


def test_rooms_of_the_node_import_one_way() -> None:
    rooms = PACKAGE / "node"
    assert {path.parent.name for path in rooms.glob("*/__init__.py")} == set(NODE)
    assert {path.name for path in rooms.glob("*.py")} == {"__init__.py", "__main__.py"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {path.parent.name} imports {room}"
        for path in rooms.glob("*/*.py")
        for room, line in rooms_named(path)
        if room not in NODE[: NODE.index(path.parent.name)]
    ]
    assert not wrong, "\n".join(wrong)


def test_rooms_of_the_node_stand_in_order_and_name_their_files() -> None:
    rooms = PACKAGE / "node"
    rows = [
        line.split("|")[1].strip() for line in (rooms / "README.md").read_text().splitlines() if "|" in line
    ]
    assert tuple(rows[2:]) == NODE
    for room in NODE:
        text = (rooms / room / "README.md").read_text(encoding="utf-8")
        missing = [p.name for p in (rooms / room).glob("[!_]*.py") if p.name not in text]
        assert not missing, f"{room}/README.md names no {missing}"


def test_only_provision_imports_pulumi() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in modules()
        if room_of(path) != "provision"
        for module, line in imports(path)
        if module.split(".")[0] in ("pulumi", "pulumi_aws", "grpc")
    ]
    assert not wrong


def test_node_needs_only_the_standard_library() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in modules()
        if room_of(path) == "node"
        for module, line in imports(path)
        if module.split(".")[0] not in sys.stdlib_module_names
    ]
    assert not wrong


READMES = [
    *(PACKAGE / room / "README.md" for room in ROOMS),
    *(PACKAGE / "node" / room / "README.md" for room in NODE),
    *sorted((ROOT / "tests").rglob("README.md")),
]


@pytest.mark.parametrize("path", READMES, ids=lambda p: str(p.relative_to(ROOT)))
def test_each_room_says_what_it_is(path: Path) -> None:
    assert 3 <= len(path.read_text(encoding="utf-8").splitlines()) <= 40


def test_rooms_of_tests_are_looked_at() -> None:
    assert ROOT / "tests/lab/README.md" in READMES


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


def test_readme_and_changelog_know_the_version() -> None:
    from hostler import __version__

    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = next(line for line in changelog.splitlines() if line.startswith("## "))
    assert first.split()[1] == __version__


def imported_by(*argv: str) -> set[str]:
    """Top-level modules that a command line imports."""
    code = (
        "import sys; sys.argv = ['hostler', *sys.argv[1:]]\n"
        "from hostler.cli.main import run\n"
        "rc = run(sys.argv[1:])\n"
        "print('IMPORTED', *sorted({m.split('.')[0] for m in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, timeout=60, check=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("IMPORTED"))
    return set(line.split()[1:])


@pytest.mark.parametrize(
    "argv", [("--help",), ("--version",), ("up", "--help"), ("plan", "--help"), ("status", "--help")]
)
def test_help_imports_nothing_heavy(argv: tuple[str, ...]) -> None:
    assert not imported_by(*argv) & HEAVY


def test_check_imports_only_what_it_needs() -> None:
    stack = ROOT / "stacks" / "workstation.yaml"
    assert imported_by("check", "-f", str(stack)) & HEAVY == {"yaml"}
