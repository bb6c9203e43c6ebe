"""An operator's machine: a home of its own, the lab's names and certificates, and none of this machine's."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .debs import nvidia_repository
from .pki import MIRRORS, NAMES, pki
from .shell import LabError, Process, background, sh, wait_for

BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
DROPPED = ("XDG_", "HOSTLER_", "PULUMI_", "AWS_", "ANSIBLE_", "SSH_", "LAB_", "PYTHON")
BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO")
# mounts what stands in pairs of arguments, says that it is ready, and waits for ever
HOLD = 'while [ "$#" -gt 1 ]; do mount --bind "$1" "$2" || exit 1; shift 2; done; touch "$1"; exec sleep infinity'


class Operator:
    """Made by Lab.operator. Its commands run in a mount namespace that a small process holds."""

    def __init__(self, directory: Path, gateway: str) -> None:
        self.directory = directory
        self.name = directory.name
        self.home = directory / "home"
        self.gateway = gateway

    def create(self, alone_as: str = "", bridge: str = "") -> None:
        """`alone_as`: its own network, with just this address on the lab's bridge."""
        for folder in (".ssh", ".config", ".cache", ".local/share", ".local/state", ".run"):
            (self.home / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.home / ".ssh").chmod(0o700)
        shutil.copy(pki() / "id_ed25519", self.home / ".ssh/id_ed25519")
        shutil.copy(pki() / "id_ed25519.pub", self.home / ".ssh/id_ed25519.pub")
        (self.home / ".ssh/id_ed25519").chmod(0o600)
        self._trust_the_mirror()
        (self.directory / "alone").write_text(alone_as)
        self._hold(bridge)

    def _trust_the_mirror(self) -> None:
        """The lab signs NVIDIA's repository anew, as every mirror does: its key, for `mirror.toolkit_key`."""
        own = self.home / ".config/hostler"
        own.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copy(nvidia_repository() / "libnvidia-container/gpgkey", own / "toolkit.asc")

    @property
    def alone(self) -> str:
        """Its own address, or nothing where it shares this machine's network."""
        return (self.directory / "alone").read_text()

    def _hold(self, bridge: str) -> None:
        alone = self.alone
        bundles = [path for path in BUNDLES if Path(path).exists()]
        if not bundles:
            raise LabError("no CA bundle on this machine: install ca-certificates")
        own = self.directory / "ca-certificates.crt"
        own.write_text(Path(bundles[0]).read_text() + (pki() / "ca.crt").read_text())
        user = pwd.getpwuid(os.getuid())
        lines = Path("/etc/passwd").read_text().splitlines()
        mine = ":".join((user.pw_name, user.pw_passwd, str(user.pw_uid), str(user.pw_gid), user.pw_gecos))
        # ssh takes the home from here, whatever HOME says
        lines = [
            f"{mine}:{self.home}:/bin/bash" if line.startswith(f"{user.pw_name}:") else line for line in lines
        ]
        (self.directory / "passwd").write_text("\n".join(lines) + "\n")
        (self.directory / "resolv.conf").write_text(f"nameserver {self.gateway}\n")
        pairs = [str(self.directory / "hosts"), "/etc/hosts", str(self.directory / "passwd"), "/etc/passwd"]
        for bundle in bundles:
            pairs += [str(own), str(Path(bundle).resolve())]
        if alone:
            pairs += [str(self.directory / "resolv.conf"), str(Path("/etc/resolv.conf").resolve())]
        ready = self.directory / "ready"
        ready.unlink(missing_ok=True)
        apart = ["--net"] if alone else []
        command = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            *apart,
            "sh",
            "-c",
            HOLD,
            "sh",
            *pairs,
            ready,
        ]
        holder = background(command, self.directory / "holder.log")
        holder.save(self.directory / "holder.json")
        wait_for(f"the operator {self.name} ({self.directory}/holder.log)", ready.exists, 10)
        if alone:
            self._connect(holder.pid, alone, bridge)

    def _connect(self, pid: int, address: str, bridge: str) -> None:
        port = self._port(address)
        sh("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        sh("ip", "link", "set", port, "master", bridge, "up")
        inside = ("nsenter", "-t", str(pid), "-n", "ip")
        sh(*inside, "link", "set", "lo", "up")
        sh(*inside, "address", "add", f"{address}/24", "dev", "eth0")
        sh(*inside, "link", "set", "eth0", "up")
        sh(*inside, "route", "add", "default", "via", self.gateway)
        sh(
            *inside,
            "route",
            "add",
            self.gateway.replace("10.77.", "10.78.").rpartition(".")[0] + ".0/24",
            "dev",
            "eth0",
        )

    @staticmethod
    def _port(address: str) -> str:
        return "lo" + address.removeprefix("10.77.").replace(".", "-")

    def know(self, hosts: Sequence[tuple[str, str, str, str]]) -> None:
        """Name, address, user and public key of each host: into /etc/hosts, .ssh/config and known_hosts."""
        known = "".join(f"{name},{address} {key}\n" for name, address, _, key in hosts)
        (self.home / ".ssh/known_hosts").write_text(known)
        config = [f"Host {n} {a}\n  HostName {a}\n  User {u}\n" for n, a, u, _ in hosts]
        rest = "Host *\n  IdentityFile ~/.ssh/id_ed25519\n  IdentitiesOnly yes\n  BatchMode yes\n"
        (self.home / ".ssh/config").write_text("".join(config) + rest + "  StrictHostKeyChecking yes\n")
        self._resolve(hosts)

    def _resolve(self, hosts: Sequence[tuple[str, str, str, str]]) -> None:
        lines = ["127.0.0.1 localhost", f"{self.gateway} {' '.join((*NAMES, *MIRRORS))}"]
        lines += [f"{address} {name}" for name, address, _, _ in hosts]
        text = "\n".join(lines) + "\n"
        # in place: the file is mounted over /etc/hosts
        with (self.directory / "hosts").open("w") as out:
            out.write(text)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """This machine's, without proxies and settings that would leak in."""
        env = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(DROPPED) and not k.lower().endswith("_proxy")
        }
        env.pop("SSL_CERT_DIR", None)
        bundle = next(path for path in BUNDLES if Path(path).exists())
        env |= dict.fromkeys(BUNDLE_VARIABLES, bundle)
        home = self.home
        env |= {"HOME": str(home), "USER": "root", "LOGNAME": "root", "XDG_RUNTIME_DIR": str(home / ".run")}
        env |= {"XDG_CONFIG_HOME": str(home / ".config"), "XDG_CACHE_HOME": str(home / ".cache")}
        env |= {"XDG_DATA_HOME": str(home / ".local/share"), "XDG_STATE_HOME": str(home / ".local/state")}
        env["PATH"] = f"{Path(sys.executable).parent}:{env.get('PATH', '/usr/bin:/bin')}"
        return env | self.settings | dict(extra or {})

    @property
    def settings(self) -> dict[str, str]:
        """Variables that are in its environment besides."""
        kept = self.directory / "settings.json"
        return json.loads(kept.read_text()) if kept.exists() else {}

    def settle(self, variables: Mapping[str, str]) -> None:
        (self.directory / "settings.json").write_text(json.dumps(self.settings | dict(variables)))

    def ask_the_lab(self) -> None:
        """From now on names are the lab's alone, as for an operator that is alone."""
        if not self.alone:
            place = str(Path("/etc/resolv.conf").resolve())
            sh(*self.command(["mount", "--bind", str(self.directory / "resolv.conf"), place], "/"))

    def command(self, argv: Sequence[str], cwd: str | Path | None = None) -> list[str]:
        """The words that run `argv` in this operator's place."""
        holder = Process.load(self.directory / "holder.json")
        if not (holder and holder.alive):
            raise LabError(f"the operator {self.name} is gone")
        apart = ["--net"] if self.alone else []
        where = f"--wd={Path(cwd) if cwd else self.home}"
        return ["nsenter", "-t", str(holder.pid), "--mount", *apart, where, *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        timeout: float = 300,
        check: bool = False,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        done = subprocess.run(
            self.command(argv, cwd),
            env=self.environment(env),
            input=stdin,
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise LabError(f"{argv} failed ({done.returncode}):\n{done.stdout}\n{done.stderr}")
        return done

    def popen(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, **how: Any
    ) -> subprocess.Popen[str]:
        """Starts a command; signals sent to it reach the command itself."""
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
        command = self.command(argv, how.pop("cwd", None))
        return subprocess.Popen(command, env=self.environment(env), text=True, **how)

    def network_cut(self) -> None:
        """For an operator that is alone: its cable is pulled."""
        sh("ip", "link", "set", self._port(self.alone), "down")

    def network_restore(self) -> None:
        sh("ip", "link", "set", self._port(self.alone), "up")

    def copy_home(self, target: Path) -> None:
        sh("cp", "-a", self.home, target)

    def restore_home(self, source: Path) -> None:
        shutil.rmtree(self.home)
        sh("cp", "-a", source, self.home)

    def stop(self) -> None:
        holder = Process.load(self.directory / "holder.json")
        if holder:
            holder.kill(signal.SIGKILL)
        if self.alone:
            sh(
                "ip", "link", "delete", self._port(self.alone), check=False
            )  # the address may be given out again
