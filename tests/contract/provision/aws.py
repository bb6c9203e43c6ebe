"""An AWS account in the test's own process (moto), a fleet with its state in a bucket, and what is done by hand."""

from __future__ import annotations

import io
import tarfile
import threading
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from contract.provision.scene import host, seen
from hostler.cloud.types import Candidate, CloudWish, Holding, RentResult, SlotWish
from hostler.hosts.types import Host, Seen
from hostler.provision import state
from hostler.provision.fleet import Fleet
from hostler.provision.stores import ACCOUNT
from hostler.provision.types import ProvisionEvent, ProvisionPreview
from lab.cloud.api import Api
from lab.cloud.faults import Fault, Faults
from lab.cloud.releases import VERSION, archive

REGION = "eu-central-1"
AMI = "ami-12c6146b"  # one of moto's
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPN7mNHqIueO2LcOIeEsHz2ICOi7H1S/gCADWVc6Drwl lab"
SECRET = "the-first-host-key"
NO_ROOM = "We currently do not have sufficient capacity in the Availability Zone you requested."


def install_plugin(base: Path) -> None:
    """The stand-in, where the CLI would have put what it fetches."""
    folder = base / "pulumi/plugins" / f"resource-aws-v{VERSION}"
    with tarfile.open(fileobj=io.BytesIO(archive())) as packed:
        packed.extractall(folder, filter="data")


class Quiet(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


class Account:
    """`faults` meet the calls of the fleet; `by hand` goes past them."""

    def __init__(self) -> None:
        self.faults = Faults()
        self._servers = [
            make_server("127.0.0.1", 0, Api(faults, str), threaded=True, request_handler=Quiet)  # pyright: ignore[reportArgumentType]
            for faults in (self.faults, Faults())
        ]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url, self._by_hand = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def reset(self) -> None:
        self.faults.clear()
        self.faults.forget()
        urllib.request.urlopen(
            urllib.request.Request(f"{self._by_hand}/moto-api/reset", method="POST")
        ).close()

    def fault(self, action: str, **more: Any) -> None:
        self.faults.wanted.append(Fault(action=action, **more))

    def full(self, *zones: str) -> None:
        """No capacity there, for ever."""
        for zone in zones:
            match = f"Placement.AvailabilityZone={zone}"
            self.fault(
                "RunInstances", match=match, times=0, code="InsufficientInstanceCapacity", message=NO_ROOM
            )

    def client(self, service: str, region: str = REGION) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self._by_hand,
            aws_access_key_id="by",
            aws_secret_access_key="hand",
        )

    def living(self, region: str = REGION) -> list[dict[str, Any]]:
        found = self.client("ec2", region).describe_instances()["Reservations"]
        machines = [machine for group in found for machine in group["Instances"]]
        return [
            machine for machine in machines if machine["State"]["Name"] not in ("terminated", "shutting-down")
        ]

    def slots(self, region: str = REGION) -> dict[str, str]:
        """Zone by slot, of what lives."""
        return {
            tag(machine, "hostler:slot"): machine["Placement"]["AvailabilityZone"]
            for machine in self.living(region)
        }

    def holdings(self) -> list[Holding]:
        return [
            Holding(
                region=region, kind="instance", id=machine["InstanceId"], uid=tag(machine, "hostler:uid"),
                slot=tag(machine, "hostler:slot"), state=machine["State"]["Name"],
            )
            for region in (REGION, "eu-west-1")
            for machine in self.living(region)
        ]  # fmt: skip


def tag(machine: dict[str, Any], name: str) -> str:
    return {pair["Key"]: pair["Value"] for pair in machine.get("Tags", ())}.get(name, "")


def candidate(
    zone: str = "a", market: Any = "on-demand", region: str = REGION, instance: str = "g5.xlarge"
) -> Candidate:
    return Candidate(region=region, zone=f"{region}{zone}", instance=instance, market=market, ami=AMI)


def slot(name: str, *candidates: Candidate, **more: Any) -> SlotWish:
    wish = SlotWish(
        slot=name, pool=name.rpartition("-")[0], candidates=candidates or (candidate(),), disk_gib=200,
        user_data=SECRET, lease=1_800_000_000.0,
    )  # fmt: skip
    return replace(wish, **more)


@dataclass(kw_only=True)
class Rents:
    """One operator's machine (`base`) and the stack's wish."""

    account: Account
    base: Path
    uid: str = "uid-1"
    bucket: str = ACCOUNT
    key: str = ""  # of KMS
    hosts: Sequence[Host] = (host("gpu-1"),)
    said: list[str] = field(default_factory=list)
    events: list[ProvisionEvent] = field(default_factory=list)

    def fleet(self, **more: Any) -> Fleet:
        given: dict[str, Any] = {"uid": self.uid, "state": self.bucket, "key": self.key, "region": REGION, "base": self.base, "notice": self.said.append,
                 "on_event": self.events.append}  # fmt: skip
        return Fleet("lab", **given | more)

    def wish(self, *slots: SlotWish, **more: Any) -> CloudWish:
        wish = CloudWish(
            uid=self.uid, stack="lab", owner="anna@desk", slots=slots, public_key=KEY,
            ssh_from={"burst": ("203.0.113.7/32",)}, edge_from={"burst": ("203.0.113.8/32", "2001:db8::/64")},
        )  # fmt: skip
        return replace(wish, **more)

    def elsewhere(self, base: Path, **more: Any) -> Rents:
        """The same stack on another machine."""
        install_plugin(base)
        return replace(self, base=base, said=[], events=[], **more)

    def resources(self) -> set[str]:
        """Of AWS, in the state."""
        return {
            f"{item['type'].rpartition(':')[2]} {state.name_of(item)}"
            for item in state.cloud(self.fleet().export())
        }

    def seen(self, name: str) -> Seen:
        return seen(name)

    def rent(self, *slots: SlotWish, limit: float = 60.0, **more: Any) -> RentResult:
        return self.fleet().rent(
            self.hosts, self.seen, self.wish(*slots, **more), holdings=self.account.holdings, limit=limit
        )

    def preview(self, *slots: SlotWish, **more: Any) -> ProvisionPreview:
        return self.fleet().preview(self.hosts, self.seen, self.wish(*slots, **more))

    def lines(self, *slots: SlotWish, **more: Any) -> dict[str, tuple[str, ...]]:
        return {
            f"{change.op} {change.name}": change.details for change in self.preview(*slots, **more).changes
        }
