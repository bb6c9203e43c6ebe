"""What is in an account: for `the account holds exactly what the state holds`."""

from collections.abc import Callable
from typing import Any

LIVE = ("pending", "running", "stopping", "stopped", "shutting-down")

type Clients = Callable[[str, str], Any]
type Account = dict[str, dict[str, list[str]]]


def _region(ec2: Any) -> dict[str, list[str]]:
    default = [v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"] if v["IsDefault"]]

    def mine(kind: str, name: str) -> list[str]:
        """Those of a kind that are not the default VPC's."""
        found = getattr(ec2, f"describe_{kind}")()[name[0].upper() + name[1:]]
        own = {"SecurityGroups": "GroupId", "Subnets": "SubnetId", "RouteTables": "RouteTableId"}[name]
        return [
            one[own]
            for one in found
            if one.get("GroupName") != "default"
            and not any(a.get("Main") for a in one.get("Associations", []))
            and (name == "SecurityGroups" or one["VpcId"] not in default)
        ]

    gateways = ec2.describe_internet_gateways()["InternetGateways"]
    reservations = ec2.describe_instances()["Reservations"]
    return {
        "instances": [
            i["InstanceId"] for r in reservations for i in r["Instances"] if i["State"]["Name"] in LIVE
        ],
        "volumes": [v["VolumeId"] for v in ec2.describe_volumes()["Volumes"]],
        "addresses": [a["AllocationId"] for a in ec2.describe_addresses()["Addresses"]],
        "key pairs": [k["KeyName"] for k in ec2.describe_key_pairs()["KeyPairs"]],
        "security groups": mine("security_groups", "SecurityGroups"),
        "vpcs": [v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"] if not v["IsDefault"]],
        "subnets": mine("subnets", "Subnets"),
        "route tables": mine("route_tables", "RouteTables"),
        "internet gateways": [
            g["InternetGatewayId"]
            for g in gateways
            if not {a["VpcId"] for a in g["Attachments"]} & {*default}
        ],
    }


def account(client: Clients, regions: tuple[str, ...]) -> Account:
    """Region -> kind -> sorted ids or names; what no region has is under "global". Kinds and regions without any are left out."""
    found = {region: _region(client("ec2", region)) for region in regions}
    iam = client("iam", "us-east-1")
    found["global"] = {
        "roles": [r["RoleName"] for r in iam.list_roles()["Roles"]],
        "instance profiles": [
            p["InstanceProfileName"] for p in iam.list_instance_profiles()["InstanceProfiles"]
        ],
        "buckets": [b["Name"] for b in client("s3", "us-east-1").list_buckets()["Buckets"]],
    }
    some = {
        region: {kind: sorted(ids) for kind, ids in kinds.items() if ids} for region, kinds in found.items()
    }
    return {region: kinds for region, kinds in some.items() if kinds}
