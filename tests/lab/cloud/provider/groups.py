"""Security groups and their rules."""

import ipaddress
from typing import Any

from botocore.exceptions import ClientError

from .types import TAGGED, Call, Partial, Type
from .values import UNKNOWN, Values, clean, from_tags

DIRECTIONS = ("ingress", "egress")
EVERYTHING = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


def _permission(rule: Values) -> Values:
    about = clean(Description=rule.get("description"))
    return clean(
        IpProtocol=str(rule.get("protocol")),
        FromPort=rule.get("fromPort"),
        ToPort=rule.get("toPort"),
        IpRanges=[about | {"CidrIp": cidr} for cidr in rule.get("cidrBlocks") or []],
        Ipv6Ranges=[about | {"CidrIpv6": cidr} for cidr in rule.get("ipv6CidrBlocks") or []],
        UserIdGroupPairs=[about | {"GroupId": group} for group in rule.get("securityGroups") or []],
    )


def _set_rules(call: Call, id: str, direction: str, rules: list[Values] | None, on: bool) -> None:
    wanted: list[Values] = []
    for rule in rules or []:
        itself = [id] if rule.get("self") else []
        wanted.append(_permission(rule | {"securityGroups": [*(rule.get("securityGroups") or []), *itself]}))
    if wanted:
        verb = "authorize" if on else "revoke"
        getattr(call.ec2, f"{verb}_security_group_{direction}")(GroupId=id, IpPermissions=wanted)


def _create(call: Call, inputs: Values) -> str:
    default = [{"Name": "is-default", "Values": ["true"]}]
    vpc = inputs.get("vpcId") or call.ec2.describe_vpcs(Filters=default)["Vpcs"][0]["VpcId"]
    id: str = call.ec2.create_security_group(
        GroupName=inputs["name"],
        Description=inputs.get("description") or "Managed by Pulumi",
        VpcId=vpc,
        **clean(TagSpecifications=call.spec("security-group")),
    )["GroupId"]
    try:  # AWS makes a rule that lets everything out; the AWS provider takes it away
        call.ec2.revoke_security_group_egress(GroupId=id, IpPermissions=[EVERYTHING])
        for direction in DIRECTIONS:
            _set_rules(call, id, direction, inputs.get(direction), True)
    except ClientError as error:
        raise Partial(id, str(error)) from error
    return id


type Rule = tuple[str, Any, Any, str]  # protocol, from, to, and a network or a group


def _live(permissions: list[Values]) -> set[Rule]:
    found: set[Rule] = set()
    for one in permissions:
        sources = [r["CidrIp"] for r in one.get("IpRanges", [])]
        sources += [r["CidrIpv6"] for r in one.get("Ipv6Ranges", [])]
        sources += [r["GroupId"] for r in one.get("UserIdGroupPairs", [])]
        ports = one.get("FromPort"), one.get("ToPort")
        # moto keeps the ports of a rule for all protocols, AWS has none
        ports = (None, None) if one["IpProtocol"] == "-1" else ports
        found |= {(str(one["IpProtocol"]), ports[0], ports[1], source) for source in sources}
    return found


def _meant(id: str, rule: Values) -> set[Rule]:
    ports = (None, None) if str(rule.get("protocol")) == "-1" else (rule.get("fromPort"), rule.get("toPort"))
    kinds = ("cidrBlocks", "ipv6CidrBlocks", "securityGroups")
    sources = [source for kind in kinds for source in rule.get(kind) or []] + (
        [id] if rule.get("self") else []
    )
    return {(str(rule.get("protocol")), ports[0], ports[1], source) for source in sources}


def _seen(id: str, rules: list[Values] | None, permissions: list[Values]) -> list[Values]:
    """The state's rules that AWS still has (which merges and reorders them), then those that it has besides."""
    there, found = _live(permissions), list[Values]()
    for rule in rules or []:
        meant = _meant(id, rule)
        if meant <= there:
            there -= meant
            found.append(rule)
    for protocol, first, last, source in sorted(there, key=str):
        kind = (
            "securityGroups"
            if source.startswith("sg-")
            else "ipv6CidrBlocks"
            if ":" in source
            else "cidrBlocks"
        )
        found.append({"protocol": protocol, "fromPort": first or 0, "toPort": last or 0, kind: [source]})
    return found


def _read(call: Call, id: str, state: Values) -> Values | None:
    found = call.ec2.describe_security_groups(GroupIds=[id])["SecurityGroups"][0]
    lists = {"ingress": found["IpPermissions"], "egress": found["IpPermissionsEgress"]}
    # an import has no state to compare with, and takes all there is
    inline = {key: _seen(id, state.get(key), lists[key]) for key in DIRECTIONS if key in state or not state}
    return {
        "arn": call.arn("ec2", f"security-group/{id}"),
        "name": found["GroupName"],
        "description": found["Description"],
        "vpcId": found["VpcId"],
        "ownerId": found["OwnerId"],
        **inline,
        "tagsAll": from_tags(found.get("Tags")),
    }


def _update(call: Call, id: str, old: Values, new: Values, changed: set[str]) -> None:
    if "tags" in changed:
        call.retag(id, old)
    for direction in DIRECTIONS:
        if direction in changed:
            before, after = old.get(direction) or [], new.get(direction) or []
            _set_rules(call, id, direction, [rule for rule in before if rule not in after], False)
            _set_rules(call, id, direction, [rule for rule in after if rule not in before], True)


def _check(inputs: Values) -> dict[str, str]:
    bad: dict[str, str] = {}
    for direction in DIRECTIONS:
        for n, rule in enumerate(inputs.get(direction) or []):
            for m, cidr in enumerate((rule if isinstance(rule, dict) else {}).get("cidrBlocks") or []):
                try:
                    if cidr != UNKNOWN:
                        ipaddress.ip_network(cidr)
                except ValueError:
                    bad[f"{direction}[{n}].cidrBlocks[{m}]"] = f'"{cidr}" is not a valid CIDR block'
    return bad


def _delete(call: Call, id: str, state: Values) -> None:
    """Waits, as the AWS provider does, for what still needs it."""

    def gone() -> bool:
        try:
            call.ec2.delete_security_group(GroupId=id)
        except ClientError as error:
            if error.response["Error"].get("Code") != "DependencyViolation":
                raise
            return False
        return True

    call.wait(gone, f"{id} to be deleted")


GROUP = Type(
    "EC2 Security Group",
    _create,
    _read,
    _delete,
    _update,
    replace=("name", "namePrefix", "description", "vpcId"),
    name="name",
    check=_check,
    drift=("ingress", "egress", "tags"),
    computed=(*TAGGED, "ownerId", "vpcId"),
)


def rule_type(direction: str) -> Type:
    """aws.vpc.SecurityGroupIngressRule and EgressRule."""

    def permission(inputs: Values) -> Values:
        about = clean(Description=inputs.get("description"))
        four, six, group = (inputs.get(k) for k in ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId"))
        return clean(
            IpProtocol=str(inputs["ipProtocol"]),
            FromPort=inputs.get("fromPort"),
            ToPort=inputs.get("toPort"),
            IpRanges=four and [about | {"CidrIp": four}],
            Ipv6Ranges=six and [about | {"CidrIpv6": six}],
            UserIdGroupPairs=group and [about | {"GroupId": group}],
        )

    def create(call: Call, inputs: Values) -> str:
        allow = getattr(call.ec2, f"authorize_security_group_{direction}")
        made = allow(GroupId=inputs["securityGroupId"], IpPermissions=[permission(inputs)])
        return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    def read(call: Call, id: str, state: Values) -> Values | None:
        found = call.ec2.describe_security_group_rules(SecurityGroupRuleIds=[id])["SecurityGroupRules"]
        arn = call.arn("ec2", f"security-group-rule/{id}")
        tags = from_tags(found[0].get("Tags")) if found else {}
        return {"securityGroupRuleId": id, "arn": arn, "tagsAll": tags} if found else None

    def delete(call: Call, id: str, state: Values) -> None:
        revoke = getattr(call.ec2, f"revoke_security_group_{direction}")
        revoke(GroupId=state["securityGroupId"], IpPermissions=[permission(state)])

    networks = ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId")
    return Type(
        f"VPC Security Group {direction.title()} Rule",
        create,
        read,
        delete,
        required=("ipProtocol", "securityGroupId"),
        replace=("securityGroupId", "ipProtocol", "fromPort", "toPort", *networks),
        computed=("arn", "securityGroupRuleId"),
    )
