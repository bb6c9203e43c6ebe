"""The instance metadata service, versions 1 and 2, for the instance whose address asks."""

import base64
import json
import secrets
import socket
from collections.abc import Callable, Iterable
from typing import Any

from .machines import Machine, Machines
from .wire import Environ

type Node = dict[str, Any] | str | bytes

TOKEN = "/latest/api/token"
TTL = "HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS"


def _metadata(machine: Machine) -> dict[str, Any]:
    one = machine.instance
    nic, backend = one.nics[0], one.ec2_backend
    network = {"mac": nic.mac_address, "local-ipv4s": one.private_ip, "device-number": "0"}
    network |= {"subnet-id": one.subnet_id, "vpc-id": one.vpc_id}
    told: dict[str, Any] = {
        "instance-id": one.id,
        "ami-id": one.image_id,
        "ami-launch-index": str(one.ami_launch_index),
        "instance-type": one.instance_type,
        "local-ipv4": one.private_ip,
        "hostname": one.private_dns_name,
        "local-hostname": one.private_dns_name,
        "mac": nic.mac_address,
        "instance-life-cycle": one.lifecycle or "on-demand",
        "security-groups": "\n".join(group.name for group in one.security_groups),
        "placement": {"availability-zone": one.availability_zone, "region": one.region_name},
        "network": {"interfaces": {"macs": {nic.mac_address: network}}},
    }
    if one.public_ip:
        told["public-ipv4"] = one.public_ip
    if key := backend.key_pairs.get(one.key_name):
        told["public-keys"] = {f"0={one.key_name}": {"openssh-key": key.public_key}}
    if one.metadata_options.instance_metadata_tags == "enabled":
        told["tags"] = {"instance": {tag["key"]: tag["value"] for tag in one.get_tags()}}
    if role := _role(one):
        told["iam"] = {"security-credentials": {role: _login(one.id)}}
    if machine.notice:
        told["spot"] = {
            "instance-action": json.dumps(machine.notice),
            "termination-time": machine.notice["time"],
        }
    return told


def _role(instance: Any) -> str:
    """The role of its instance profile."""
    associations = instance.ec2_backend.iam_instance_profile_associations.values()
    mine = [a for a in associations if a.instance and a.instance.id == instance.id]
    return next((role.name for a in mine for role in a.iam_instance_profile.roles), "")


def _login(instance: str) -> str:
    times = {"LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z"}
    keys = {"AccessKeyId": "ASIALAB", "SecretAccessKey": "lab", "Token": instance}
    return json.dumps({"Code": "Success", "Type": "AWS-HMAC"} | keys | times)


def tree(machine: Machine) -> dict[str, Any]:
    """What the instance sees below its version. A key with `=` is listed as it is, a folder with a slash."""
    one = machine.instance
    document = {
        "instanceId": one.id,
        "region": one.region_name,
        "availabilityZone": one.availability_zone,
        "instanceType": one.instance_type,
        "imageId": one.image_id,
        "privateIp": one.private_ip,
        "accountId": one.owner_id,
    }
    data = {"user-data": base64.b64decode(str(one.user_data))} if one.user_data else {}
    identity = {"instance-identity": {"document": json.dumps(document)}}
    return {"meta-data": _metadata(machine), "dynamic": identity, **data}


def _find(node: Node | None, path: str) -> Node | None:
    for part in filter(None, path.split("/")[2:]):  # [1] is the version, any
        found = node.items() if isinstance(node, dict) else ()
        node = next((value for key, value in found if key.split("=")[0] == part), None)
    return node


def _shown(node: Node) -> bytes:
    if isinstance(node, dict):
        lines = (k if "=" in k or not isinstance(v, dict) else f"{k}/" for k, v in node.items())
        node = "\n".join(lines)
    return node if isinstance(node, bytes) else node.encode()


def metadata_service(machines: Machines) -> Callable[[Environ, Callable[..., Any]], Iterable[bytes]]:
    """The service as a WSGI application."""

    def reply(environ: Environ) -> tuple[str, bytes]:
        machine = machines.at(str(environ["REMOTE_ADDR"]))
        if not machine:
            return "404 Not Found", b""
        options, token = machine.instance.metadata_options, environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN")
        if options.http_endpoint == "disabled":
            return "403 Forbidden", b""
        if environ["REQUEST_METHOD"] == "PUT":
            if environ["PATH_INFO"] != TOKEN or TTL not in environ:
                return "400 Bad Request", b""
            # a hop limit of 1 never reaches a container
            hops = int(options.http_put_response_hop_limit)
            environ["werkzeug.socket"].setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
            fresh = secrets.token_urlsafe(40)
            machine.tokens.add(fresh)
            return "200 OK", fresh.encode()
        if (token or options.http_tokens == "required") and token not in machine.tokens:
            return "401 Unauthorized", b""
        found = _find(tree(machine), str(environ["PATH_INFO"]))
        return ("404 Not Found", b"") if found is None else ("200 OK", _shown(found))

    def application(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        status, body = reply(environ)
        start(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return application
