"""Which rights a call needs, as IAM names them, and whether a policy gives them."""

import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from .wire import Call

PREFIXES = {"servicequotas": "servicequotas", "monitoring": "cloudwatch"}  # all others are named as they sign
FREE = "sts:GetCallerIdentity"
COPY = "HTTP_X_AMZ_COPY_SOURCE"
ACCOUNT = "123456789012"
# S3's parts of a bucket and of an object, by what stands in the query
PARTS = {
    "tagging": "Tagging",
    "versioning": "Versioning",
    "encryption": "EncryptionConfiguration",
    "publicAccessBlock": "PublicAccessBlock",
    "policy": "Policy",
    "acl": "Acl",
    "ownershipControls": "OwnershipControls",
}
ID = re.compile(r"(i|vol|subnet|sg|vpc|igw|rtb|ami)-[0-9a-f]{8,17}")
KINDS = {
    "i": "instance", "vol": "volume", "subnet": "subnet", "sg": "security-group", "vpc": "vpc",
    "igw": "internet-gateway", "rtb": "route-table", "ami": "image",
}  # fmt: skip
NEW = {
    "RunInstances": ("instance", "volume", "network-interface"), "CreateVpc": ("vpc",), "CreateSubnet": ("subnet",),
    "CreateInternetGateway": ("internet-gateway",), "CreateRouteTable": ("route-table",),
    "CreateSecurityGroup": ("security-group",), "ImportKeyPair": ("key-pair",),
}  # fmt: skip

type Tags = Callable[[str, str], Mapping[str, str]]  # those of a thing, by its region and its id


def rights(
    service: str, action: str, form: Mapping[str, str], query: str, environ: Mapping[str, Any]
) -> frozenset[str]:
    """`action` is the call's: of S3 METHOD /bucket/key, of all others a name."""
    if service == "s3":
        return frozenset(f"s3:{name}" for name in _s3(action, query, environ))
    found = {f"{PREFIXES.get(service, service)}:{action}"}
    if service == "ec2" and any(key.startswith("TagSpecification.") for key in form):
        found.add("ec2:CreateTags")
    return frozenset(found)


def _s3(place: str, query: str, environ: Mapping[str, Any]) -> Iterator[str]:
    method, _, path = place.partition(" ")
    bucket, _, key = path.strip("/").partition("/")
    asked = dict(parse_qsl(query, keep_blank_values=True))
    part = next((name for word, name in PARTS.items() if word in asked), "")
    verb = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "POST": "Put", "DELETE": "Delete"}[method]
    version = "Version" if "versionId" in asked else ""
    if not bucket:
        yield "ListAllMyBuckets"
    elif part:
        yield f"{'Put' if verb == 'Delete' else verb}{'Object' if key else 'Bucket'}{version}{part}".replace(
            "BucketEncryption", "Encryption"
        )
    elif key:
        yield "AbortMultipartUpload" if verb == "Delete" and "uploadId" in asked else f"{verb}Object{version}"
        if COPY in environ:
            yield "GetObject"
    elif "location" in asked:
        yield "GetBucketLocation"
    elif "delete" in asked:
        yield "DeleteObject"
    elif "versions" in asked:
        yield "ListBucketVersions"
    else:
        yield {"PUT": "CreateBucket", "DELETE": "DeleteBucket"}.get(method, "ListBucket")


class Permit:
    """What one access key may do. Evaluated: actions, S3's resources, and of EC2 the region, the instance type, and the
    tags of what a call names and makes. Conditions of KMS hold."""

    def __init__(self, policy: Mapping[str, Any], tags: Tags) -> None:
        self.statements: list[dict[str, Any]] = policy["Statement"]
        self.tags = tags

    def refuses(self, call: "Call") -> list[str]:
        """`ACTION on resource: ARN` of each right that is missing."""
        asked = [pair for action in sorted(call.rights - {FREE}) for pair in self._asked(call, action)]
        return [
            f"{action} on resource: {arn}"
            for action, arn, more in asked
            if not self._allowed(action, arn, more)
        ]

    def _asked(self, call: "Call", action: str) -> Iterator[tuple[str, str, dict[str, str]]]:
        if call.service == "s3":
            source = unquote(call.copied).strip("/").partition("?")[0]
            place = call.action.partition(" ")[2].strip("/")
            yield action, f"arn:aws:s3:::{source if source and action == 's3:GetObject' else place}", {}
        elif call.service == "ec2" and not action.startswith("ec2:Describe"):
            yield from _of_ec2(call, action, self.tags)
        else:
            named = call.form.get("InstanceId") or call.form.get("VpcId", "")
            more = _tagged("Resource", self.tags(call.region, named)) if named else {}
            yield action, "*", more | {"aws:RequestedRegion": call.region}

    def _allowed(self, action: str, resource: str, more: dict[str, str]) -> bool:
        return any(
            action in one["Action"]
            and any(resource == "*" or fnmatchcase(resource, _plain(known)) for known in one["Resource"])
            and all(_holds(test, keys, more) for test, keys in one.get("Condition", {}).items())
            for one in self.statements
        )


def _of_ec2(call: "Call", action: str, tags: Tags) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Each thing that the call makes, with the tags that it gets, and each that it names, with those that it has."""
    more = {"aws:RequestedRegion": call.region, "ec2:InstanceType": call.form.get("InstanceType", "")}
    given, made = _specified(call.form), NEW.get(call.action, ())
    beside = action != f"ec2:{call.action}"  # the right to tag what it makes
    if beside:
        more["ec2:CreateAction"] = call.action
    for kind in given if beside else made:
        yield action, _arn(call, kind, "new"), more | _tagged("Request", given.get(kind, {}))
    if beside:
        return
    set_to = _pairs(call.form, "Tag.")
    named = [(one, KINDS[found[1]]) for one in call.form.values() if (found := ID.fullmatch(one))]
    named += [(call.form["KeyName"], "key-pair")] if "KeyName" in call.form and "key-pair" not in made else []
    told = {"aws:TagKeys": ",".join(set_to), **_tagged("Request", set_to)} if set_to else {}
    for name, kind in dict.fromkeys(named):
        yield action, _arn(call, kind, name), more | told | _tagged("Resource", tags(call.region, name))


def _arn(call: "Call", kind: str, name: str) -> str:
    return f"arn:aws:ec2:{call.region}:{'' if kind == 'image' else ACCOUNT}:{kind}/{name}"


def tags_in_moto(region: str, name: str) -> Mapping[str, str]:
    """Of this process's account."""
    from moto.ec2.models import ec2_backends

    backend = ec2_backends[ACCOUNT][region]
    pair = backend.key_pairs.get(name)
    return dict(backend.tags.get(pair.id if pair else name) or {})


def _specified(form: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Tags by kind, of TagSpecification.N."""
    found: dict[str, dict[str, str]] = {}
    for key, kind in form.items():
        if key.startswith("TagSpecification.") and key.endswith(".ResourceType"):
            found[kind] = _pairs(form, f"{key.removesuffix('ResourceType')}Tag.")
    return found


def _pairs(form: Mapping[str, str], head: str) -> dict[str, str]:
    names = [one for one in form if one.startswith(head) and one.endswith(".Key")]
    return {form[one]: form.get(f"{one.removesuffix('Key')}Value", "") for one in names}


def _tagged(whose: str, tags: Mapping[str, str]) -> dict[str, str]:
    return {f"aws:{whose}Tag/{key}": value for key, value in tags.items()}


def _holds(test: str, keys: Mapping[str, Any], more: Mapping[str, str]) -> bool:
    """Conditions on what is not known here (aliases of keys) hold."""
    for key, wanted in keys.items():
        values = [wanted] if isinstance(wanted, str) else wanted
        if test.startswith("ForAnyValue") or (test.endswith("IfExists") and key not in more):
            continue
        had = more[key].split(",") if test.startswith("ForAllValues") and key in more else [more.get(key, "")]
        if not all(one in values for one in had):
            return False
    return True


def _plain(known: str) -> str:
    return known.replace("[", "[[]")
