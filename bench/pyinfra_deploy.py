"""What `hostler render` wrote, as a pyinfra deploy: packages, account, directories, files, unit, image, container,
health check. Run by bench/noop.py on hosts that are as they should be."""

from __future__ import annotations

import io
import json
from typing import Any

from pyinfra.context import host
from pyinfra.operations import apt, docker, files, server, systemd


def put(entry: dict[str, Any]) -> None:
    """One file of the rendered variables."""
    files.put(
        src=io.StringIO(entry["text"]),
        dest=entry["path"],
        mode=entry["mode"],
        user=entry["owner"],
        group=entry["group"],
    )


def main(wanted: dict[str, Any]) -> None:
    apt.packages(packages=wanted["packages"])
    server.user(user="hostler", system=True, shell="/usr/sbin/nologin", ensure_home=False)
    for entry in wanted["directories"]:
        files.directory(path=entry["path"], mode=entry["mode"], user=entry["owner"], group=entry["group"])
    for entry in wanted["files"]:
        put(entry)
    for image in wanted["images"]:
        docker.image(image=image)
    for container in wanted["containers"]:
        systemd.service(service=f"hostler@{container['id']}.service", running=True, enabled=True)
        docker.container(container=f"hostler-{container['id']}", image=container["image"])
    for address in wanted["health"]:
        server.shell(commands=[f"curl -fsS -o /dev/null {address}"])


main(json.loads(host.data.wanted))
