"""In a container as the controller's on a host of the lab: Pulumi's CLI and its AWS plugin, fetched under their real names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hostler.models.release import PYTHON
from hostler.node.site import sites
from hostler.provision.engine import PINNED

from .cloud.catalog import ACCOUNT
from .cloud.client import LOGIN
from .cloud.releases import VERSION
from .hosts import Host
from .python_world import pins

if TYPE_CHECKING:
    from .cloud.client import Cloud

HOME, SITE, STATE = "/srv/controller", "/srv/controller/site", "/srv/controller/state"
LIMIT = 600.0
PIP = (
    "python3", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--root-user-action", "ignore",
    "--quiet", "--only-binary", ":all:", "--no-deps", "--require-hashes", "--no-compile", "--target", "/site",
    "-r", "/pins.txt",
)  # fmt: skip
ADDRESSES = (
    "https://get.pulumi.com/install.sh",
    "https://checkip.amazonaws.com",
    "https://ec2.eu-central-1.amazonaws.com",
    "https://sts.eu-west-1.amazonaws.com",
    "https://bucket.s3.eu-central-1.amazonaws.com",
    "https://github.com",
    "https://api.github.com",
)
FETCHED = """
import json, os, subprocess, sys
import grpc, semver
from pulumi.automation import PulumiCommand
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc
from google.protobuf import empty_pb2, struct_pb2
cli, aws = sys.argv[1:]
root = "/state/.cache/hostler/pulumi/" + cli
os.environ |= {"PULUMI_HOME": "/state/pulumi", "PULUMI_BACKEND_URL": "file://~", "PULUMI_SKIP_UPDATE_CHECK": "true"}
found = PulumiCommand.install(root=root, version=semver.VersionInfo.parse(cli))
words = [root + "/bin/pulumi", "plugin", "install", "resource", "aws", "v" + aws, "--non-interactive"]
subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)
plugin = "/state/pulumi/plugins/resource-aws-v%s/pulumi-resource-aws" % aws
with subprocess.Popen([plugin, "127.0.0.1:1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
    port = int(started.stdout.readline())
    provider = provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel("127.0.0.1:%d" % port))
    version = provider.GetPluginInfo(empty_pb2.Empty()).version
    region, words = struct_pb2.Struct(), struct_pb2.Struct()
    region["region"] = "eu-central-1"
    provider.Configure(provider_pb2.ConfigureRequest(args=region))
    asked = provider_pb2.InvokeRequest(tok="aws:index/getCallerIdentity:getCallerIdentity", args=words)
    who = getattr(provider.Invoke(asked), "return")["accountId"]
    started.stdin.close()
    ended = started.wait(30)
print(json.dumps({"cli": str(found.version), "plugin": version, "account": who, "ended": ended}))
"""

pytestmark = pytest.mark.lab


@pytest.mark.lab_hosts("gate")
def test_hosts_reach_the_clouds_names(cloud: Cloud, hosts: list[Host]) -> None:
    """With the host's own trust, by the lab's name service."""
    assert cloud.account() == {}
    ask = ["curl", "-sS", "-m", "20", "-o", "/dev/null", "-w", "%{remote_ip}"]
    seen = {name: hosts[0].run([*ask, name], check=False) for name in ADDRESSES}
    assert {name: (done.stdout, done.stderr) for name, done in seen.items()} == dict.fromkeys(
        ADDRESSES, (cloud.address, "")
    )


def contained(host: Host, *argv: str, more: tuple[str, ...] = ()) -> str:
    """As the agent starts the controller's containers."""
    mounts = ((STATE, "/state", "rw"), (f"{HOME}/pins.txt", "/pins.txt", "ro"), *sites.trust())
    words = ("docker", "run", *sites.BARE, *more, *sites.bound(mounts), *sites.environment())
    return host.run([*words, "--workdir", "/state", PYTHON, *argv], timeout=LIMIT).stdout


def environment(**values: str) -> tuple[str, ...]:
    return tuple(word for name, value in values.items() for word in ("--env", f"{name}={value}"))


@pytest.mark.soak
@pytest.mark.usefixtures("controller_world")
@pytest.mark.lab_hosts("gate")
def test_the_cli_and_its_plugin_in_the_controllers_container(cloud: Cloud, hosts: list[Host]) -> None:
    (host,) = hosts
    host.run(["apt-get", "update", "-qq"], timeout=LIMIT)
    host.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "docker.io"], timeout=LIMIT)
    host.run(["docker", "pull", "-q", PYTHON], timeout=LIMIT)
    host.run(["mkdir", "-p", SITE, STATE])
    host.run(["tee", f"{HOME}/pins.txt"], stdin=pins())
    contained(host, *PIP, more=("--volume", f"{SITE}:/site:rw"))
    tight = ("--read-only", "--tmpfs", "/tmp:mode=1777", "--volume", f"{SITE}:/site:ro")
    # nothing may be executed in the container's /tmp, and PulumiCommand executes what it has loaded to there
    env = environment(TMPDIR="/state", **LOGIN)
    said = contained(host, "python3", "-c", FETCHED, PINNED, VERSION, more=(*tight, *env))
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    assert found == {"cli": PINNED, "plugin": VERSION, "account": ACCOUNT, "ended": 3}
    assert "sts:GetCallerIdentity" in cloud.calls()
