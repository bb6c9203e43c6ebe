"""Two engines by docker compose, one a host, and a plain HAProxy beside the first: health checks, retries, least connections."""

from __future__ import annotations

from collections.abc import Sequence

from lab.hosts import Host
from lab.shell import wait_for

PORT = 18080
PROJECT = "/srv/compose"
ENGINE = """\
services:
  chat:
    image: {image}
    network_mode: host
    restart: unless-stopped
    command: --host 0.0.0.0 --port {port} --alias chat -np 32 {words}
"""
PROXY = """\
  proxy:
    image: haproxy:3.4
    network_mode: host
    restart: unless-stopped
    volumes: ["/srv/compose/haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro"]
"""
HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 10m
    timeout server 10m
    option http-server-close
    option redispatch
    retries 3
    balance leastconn
    option httpchk GET /health
frontend api
    bind :8000
    default_backend chat
backend chat
{servers}
"""


class Compose:
    """`up(tag)`: that image on one host after the other."""

    def __init__(self, hosts: Sequence[Host], words: str, image: str) -> None:
        self.hosts, self.words, self.image = hosts, words, image

    def install(self) -> None:
        """Docker and compose of the distribution, both images, and the proxy's configuration: before any clock starts."""
        servers = "\n".join(f"    server {h.name} {h.address}:{PORT} check inter 1s" for h in self.hosts)
        for host in self.hosts:
            quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
            host.run([*quiet, "update"])
            host.run(
                [
                    *quiet,
                    "install",
                    "-y",
                    "--no-install-recommends",
                    "docker.io",
                    "docker-cli",
                    "docker-compose",
                ],
                timeout=300,
            )
            for tag in (1, 2):
                host.run(["docker", "pull", "-q", f"{self.image}:{tag}"])
            host.run(["mkdir", "-p", PROJECT])
            host.run(["tee", f"{PROJECT}/haproxy.cfg"], stdin=HAPROXY.format(servers=servers))

    def up(self, tag: int) -> None:
        """`docker compose up -d` on one host, until it is healthy, then on the next."""
        for number, host in enumerate(self.hosts):
            text = ENGINE.format(image=f"{self.image}:{tag}", port=PORT, words=self.words)
            host.run(["tee", f"{PROJECT}/compose.yaml"], stdin=text + (PROXY if number == 0 else ""))
            host.run(["docker", "compose", "-f", f"{PROJECT}/compose.yaml", "up", "-d"], timeout=300)
            wait_for("its health", lambda host=host: healthy(host), 120, every=0.5)


def healthy(host: Host) -> bool:
    return host.run(["curl", "-sf", f"http://127.0.0.1:{PORT}/health"], check=False).returncode == 0
