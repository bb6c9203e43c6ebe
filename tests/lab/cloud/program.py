"""A small stack for the tests of this cloud, run on an operator's machine: program.py STATE VERB [INSTANCES [TYPE]].

Prints one line of JSON: how many resources were created, updated, replaced, deleted or left as they are, and outputs.
"""

import json
import os
import sys
from pathlib import Path

import pulumi
from pulumi import automation as auto

IMAGE = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"


def declare(instances: int, kind: str) -> None:
    """A network, a group, a key, a role and instances in it, in a region that is not the provider's own."""
    from pulumi_aws import Provider, ProviderDefaultTagsArgs, ec2, iam, ssm, vpc

    tags = ProviderDefaultTagsArgs(tags={"hostler:stack": "office"})
    provider = Provider("aws", region="eu-central-1", max_retries=2, default_tags=tags)
    at = pulumi.ResourceOptions(provider=provider)
    region, zone = "eu-west-1", "eu-west-1b"
    invoke = pulumi.InvokeOptions(provider=provider)
    image = ssm.get_parameter(name=IMAGE, region=region, opts=invoke).value
    net = ec2.Vpc("net", region=region, cidr_block="10.9.0.0/16", enable_dns_hostnames=True, opts=at)
    gateway = ec2.InternetGateway("net", region=region, vpc_id=net.id, opts=at)
    out = ec2.RouteTableRouteArgs(cidr_block="0.0.0.0/0", gateway_id=gateway.id)
    table = ec2.RouteTable("net", region=region, vpc_id=net.id, routes=[out], opts=at)
    subnet = ec2.Subnet(
        "b", region=region, vpc_id=net.id, cidr_block="10.9.4.0/22", availability_zone=zone,
        map_public_ip_on_launch=True, opts=at,
    )  # fmt: skip
    ec2.RouteTableAssociation("b", region=region, subnet_id=subnet.id, route_table_id=table.id, opts=at)
    everything = ec2.SecurityGroupEgressArgs(protocol="-1", from_port=0, to_port=0, cidr_blocks=["0.0.0.0/0"])
    door = ec2.SecurityGroupIngressArgs(protocol="tcp", from_port=22, to_port=22, cidr_blocks=["0.0.0.0/0"])
    group = ec2.SecurityGroup(
        "door", region=region, vpc_id=net.id, ingress=[door], egress=[everything], opts=at
    )
    alone = ec2.SecurityGroup("alone", region=region, vpc_id=net.id, opts=at)
    vpc.SecurityGroupIngressRule(
        "edge", region=region, security_group_id=alone.id, ip_protocol="tcp", from_port=8443, to_port=8443,
        cidr_ipv4="10.77.0.0/16", opts=at,
    )  # fmt: skip
    key = ec2.KeyPair(
        "me", region=region, public_key=Path("~/.ssh/id_ed25519.pub").expanduser().read_text(), opts=at
    )
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.Role("box", assume_role_policy=policy, opts=at)
    profile = iam.InstanceProfile("box", role=role.name, opts=at)
    made = [
        ec2.Instance(
            f"box-{n}",
            region=region,
            ami=image,
            instance_type=kind,
            subnet_id=subnet.id,
            key_name=key.key_name,
            vpc_security_group_ids=[group.id, alone.id],
            iam_instance_profile=profile.name,
            user_data="#cloud-config\n{}\n",
            instance_initiated_shutdown_behavior="terminate",
            metadata_options=ec2.InstanceMetadataOptionsArgs(http_tokens="required"),
            root_block_device=ec2.InstanceRootBlockDeviceArgs(
                volume_type="gp3", volume_size=20, encrypted=True
            ),
            volume_tags={"Name": f"box-{n}"},
            tags={"Name": f"box-{n}"},
            opts=at,
        )
        for n in range(instances)
    ]
    pulumi.export("instances", [one.id for one in made])
    pulumi.export("addresses", [one.public_ip for one in made])


def main(state: str, verb: str, instances: int = 1, kind: str = "t3.micro") -> None:
    home = Path.home()
    (home / "work").mkdir(exist_ok=True)
    work = auto.LocalWorkspace(
        work_dir=str(home / "work"),
        pulumi_home=str(home / ".pulumi"),
        program=lambda: declare(instances, kind),
        secrets_provider="passphrase",
        env_vars={"PULUMI_CONFIG_PASSPHRASE": "lab", "PULUMI_SKIP_UPDATE_CHECK": "true"},
        project_settings=auto.ProjectSettings("lab", "python", backend=auto.ProjectBackend(state)),
        pulumi_command=auto.PulumiCommand(root=os.environ["LAB_PULUMI_ROOT"]),
    )
    stack = auto.Stack.create_or_select("organization/lab/office", work)
    done = stack.destroy() if verb == "destroy" else stack.up(refresh=verb == "refresh")
    outputs = {} if isinstance(done, auto.DestroyResult) else done.outputs
    told = {key: output.value for key, output in outputs.items()}
    print(json.dumps({"changes": done.summary.resource_changes, **told}))


if __name__ == "__main__":
    _, *words = sys.argv
    main(words[0], words[1], int(words[2]) if words[2:] else 1, *words[3:])
