"""One control group for each lab host, below the one this process is in, in every hierarchy of the machine."""

from contextlib import suppress
from pathlib import Path

FS = Path("/sys/fs/cgroup")


def unified() -> bool:
    """Whether the machine has cgroup v2 alone."""
    return (FS / "cgroup.controllers").exists()


def _mine() -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controller, path = line.split(":", 2)
        folder = controller.removeprefix("name=") or ("" if unified() else "unified")
        if (FS / folder / path.lstrip("/")).is_dir():
            found.append((controller, FS / folder / path.lstrip("/")))
    return found


def make_groups(name: str) -> list[Path]:
    """Makes the groups. Without them all hosts' systemds and Dockers would share one tree."""
    made: list[Path] = []
    for controller, parent in _mine():
        group = parent / name
        group.mkdir(exist_ok=True)
        if controller == "cpuset":  # empty by default: nothing could join
            for key in ("cpuset.cpus", "cpuset.mems"):
                (group / key).write_text((parent / key).read_text())
        made.append(group)
    return made


def join(groups: list[Path]) -> None:
    """Moves the calling process into the groups."""
    for group in groups:
        (group / "cgroup.procs").write_text("0")


def remove_groups(name: str) -> None:
    """Removes the empty groups, deepest first."""
    for _, parent in _mine():
        group = parent / name
        for folder in sorted((p for p in group.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)):
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            group.rmdir()
