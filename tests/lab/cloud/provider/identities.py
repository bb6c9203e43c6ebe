"""Key pairs, roles and instance profiles."""

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from .types import TAGGED, Call, Partial, Type
from .values import UNKNOWN, Values, aws_tags, clean, from_tags


def _document(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _policy_check(key: str) -> Callable[[Values], dict[str, str]]:
    def check(inputs: Values) -> dict[str, str]:
        try:
            if isinstance(inputs.get(key), str) and inputs[key] != UNKNOWN:
                json.loads(inputs[key])
        except ValueError as error:
            return {key: f"contains an invalid JSON policy: {error}"}
        return {}

    return check


# -- key pair


def _create_key(call: Call, inputs: Values) -> str:
    tags = clean(TagSpecifications=call.spec("key-pair"))
    material = inputs["publicKey"].encode()
    call.ec2.import_key_pair(KeyName=inputs["keyName"], PublicKeyMaterial=material, **tags)
    return inputs["keyName"]


def _read_key(call: Call, id: str, state: Values) -> Values | None:
    found = call.ec2.describe_key_pairs(KeyNames=[id])["KeyPairs"][0]
    return {
        "arn": call.arn("ec2", f"key-pair/{id}"),
        "keyName": id,
        "keyPairId": found["KeyPairId"],
        "keyType": found.get("KeyType") or "rsa",
        "fingerprint": found["KeyFingerprint"],
        "tagsAll": from_tags(found.get("Tags")),
    }


def _update_key(call: Call, id: str, old: Values, new: Values, changed: set[str]) -> None:
    if "tags" in changed:
        call.retag(old["keyPairId"], old)


def _check_key(inputs: Values) -> dict[str, str]:
    key = str(inputs.get("publicKey") or "")
    good = key in ("", UNKNOWN) or (len(key.split()) > 1 and key.startswith(("ssh-", "ecdsa-")))
    return {} if good else {"publicKey": "is not an OpenSSH public key"}


KEY = Type(
    "EC2 Key Pair",
    _create_key,
    _read_key,
    lambda call, id, _: call.ec2.delete_key_pair(KeyName=id),
    _update_key,
    required=("publicKey",),
    replace=("keyName", "keyNamePrefix", "publicKey"),
    name="keyName",
    drift=("tags",),
    check=_check_key,
    computed=(*TAGGED, "fingerprint", "keyPairId", "keyType"),
)

# -- role


def _create_role(call: Call, inputs: Values) -> str:
    more = clean(
        Path=inputs.get("path"),
        Description=inputs.get("description"),
        MaxSessionDuration=inputs.get("maxSessionDuration"),
        Tags=aws_tags(call.tags),
    )
    policy = _document(inputs["assumeRolePolicy"])
    call.iam.create_role(RoleName=inputs["name"], AssumeRolePolicyDocument=policy, **more)
    for arn in inputs.get("managedPolicyArns") or []:
        call.iam.attach_role_policy(RoleName=inputs["name"], PolicyArn=arn)
    return inputs["name"]


def _read_role(call: Call, id: str, state: Values) -> Values | None:
    found = call.iam.get_role(RoleName=id)["Role"]
    return {
        "arn": found["Arn"],
        "name": id,
        "uniqueId": found["RoleId"],
        "createDate": found["CreateDate"].isoformat(),
        "path": found["Path"],
        "maxSessionDuration": found.get("MaxSessionDuration", 3600),
        "tagsAll": from_tags(found.get("Tags")),
    }


def _update_role(call: Call, id: str, old: Values, new: Values, changed: set[str]) -> None:
    if "assumeRolePolicy" in changed:
        call.iam.update_assume_role_policy(RoleName=id, PolicyDocument=_document(new["assumeRolePolicy"]))
    if changed & {"description", "maxSessionDuration"}:
        limit = new.get("maxSessionDuration") or 3600
        call.iam.update_role(RoleName=id, Description=new.get("description") or "", MaxSessionDuration=limit)
    if "tags" in changed:
        dead = [key for key in (old.get("tagsAll") or {}) if key not in call.tags]
        if dead:
            call.iam.untag_role(RoleName=id, TagKeys=dead)
        call.iam.tag_role(RoleName=id, Tags=aws_tags(call.tags))
    if "managedPolicyArns" in changed:
        before, after = ({*(values.get("managedPolicyArns") or [])} for values in (old, new))
        for arn in before - after:
            call.iam.detach_role_policy(RoleName=id, PolicyArn=arn)
        for arn in after - before:
            call.iam.attach_role_policy(RoleName=id, PolicyArn=arn)


def _delete_role(call: Call, id: str, state: Values) -> None:
    for arn in state.get("managedPolicyArns") or []:
        call.iam.detach_role_policy(RoleName=id, PolicyArn=arn)
    call.iam.delete_role(RoleName=id)


ROLE = Type(
    "IAM Role",
    _create_role,
    _read_role,
    _delete_role,
    _update_role,
    required=("assumeRolePolicy",),
    replace=("name", "namePrefix", "path"),
    name="name",
    drift=("tags",),
    check=_policy_check("assumeRolePolicy"),
    computed=(*TAGGED, "uniqueId", "createDate"),
)


def _put_policy(call: Call, inputs: Values) -> str:
    words = {"RoleName": inputs["role"], "PolicyName": inputs["name"]}
    call.iam.put_role_policy(**words, PolicyDocument=_document(inputs["policy"]))
    return f"{inputs['role']}:{inputs['name']}"


def _read_policy(call: Call, id: str, state: Values) -> Values | None:
    role, _, name = id.partition(":")
    there = call.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    same = isinstance(state.get("policy"), str) and json.loads(state["policy"]) == there
    return {"name": name, "role": role, "policy": state["policy"] if same else json.dumps(there)}


def _delete_policy(call: Call, id: str, state: Values) -> None:
    role, _, name = id.partition(":")
    call.iam.delete_role_policy(RoleName=role, PolicyName=name)


def _update_policy(call: Call, id: str, old: Values, new: Values, changed: set[str]) -> None:
    _put_policy(call, new)


POLICY = Type(
    "IAM Role Policy",
    _put_policy,
    _read_policy,
    _delete_policy,
    _update_policy,
    required=("policy", "role"),
    name="name",
    replace=("name", "namePrefix", "role"),
    drift=("policy",),
    check=_policy_check("policy"),
    computed=(),
)


def _attach(call: Call, inputs: Values) -> str:
    call.iam.attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
    return f"{inputs['role']}/{inputs['policyArn']}"


def _read_attachment(call: Call, id: str, state: Values) -> Values | None:
    there = call.iam.list_attached_role_policies(RoleName=state["role"])["AttachedPolicies"]
    return {} if any(one["PolicyArn"] == state["policyArn"] for one in there) else None


def _detach(call: Call, id: str, state: Values) -> None:
    call.iam.detach_role_policy(RoleName=state["role"], PolicyArn=state["policyArn"])


ATTACHMENT = Type(
    "IAM Role Policy Attachment",
    _attach,
    _read_attachment,
    _detach,
    required=("policyArn", "role"),
    replace=("*",),
    computed=(),
)

# -- instance profile


def _create_profile(call: Call, inputs: Values) -> str:
    more = clean(Path=inputs.get("path"), Tags=aws_tags(call.tags))
    call.iam.create_instance_profile(InstanceProfileName=inputs["name"], **more)
    if inputs.get("role"):
        try:
            words = {"InstanceProfileName": inputs["name"], "RoleName": inputs["role"]}
            call.iam.add_role_to_instance_profile(**words)
        except ClientError as error:
            raise Partial(inputs["name"], str(error)) from error
    return inputs["name"]


def _read_profile(call: Call, id: str, state: Values) -> Values | None:
    found = call.iam.get_instance_profile(InstanceProfileName=id)["InstanceProfile"]
    return {
        "arn": found["Arn"],
        "name": id,
        "uniqueId": found["InstanceProfileId"],
        "path": found["Path"],
        "role": found["Roles"][0]["RoleName"] if found["Roles"] else None,
        "tagsAll": from_tags(found.get("Tags")),
    }


def _update_profile(call: Call, id: str, old: Values, new: Values, changed: set[str]) -> None:
    if "role" in changed:
        if old.get("role"):
            call.iam.remove_role_from_instance_profile(InstanceProfileName=id, RoleName=old["role"])
        if new.get("role"):
            call.iam.add_role_to_instance_profile(InstanceProfileName=id, RoleName=new["role"])
    if "tags" in changed:
        call.iam.tag_instance_profile(InstanceProfileName=id, Tags=aws_tags(call.tags))


def _delete_profile(call: Call, id: str, state: Values) -> None:
    for role in call.iam.get_instance_profile(InstanceProfileName=id)["InstanceProfile"]["Roles"]:
        call.iam.remove_role_from_instance_profile(InstanceProfileName=id, RoleName=role["RoleName"])
    call.iam.delete_instance_profile(InstanceProfileName=id)


PROFILE = Type(
    "IAM Instance Profile",
    _create_profile,
    _read_profile,
    _delete_profile,
    _update_profile,
    name="name",
    replace=("name", "namePrefix", "path"),
    drift=("role",),
    computed=(*TAGGED, "uniqueId", "createDate"),
)
