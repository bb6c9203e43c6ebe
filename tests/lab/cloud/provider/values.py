"""Values between Pulumi's protocol, the AWS provider's words and boto3's."""

from typing import Any

from google.protobuf import struct_pb2

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # Pulumi's own mark of a value that is not known yet
SIGNATURE = "4dabf18193072939515e22adb298388d"  # the key of a wrapped value, and its value for a secret
SECRET = "1b47061264138c4ac30d75fd1eb44270"

type Values = dict[str, Any]


def plain(value: Any) -> Any:
    """A protobuf Struct or Value as Python; whole numbers become int, secrets are unwrapped."""
    if isinstance(value, struct_pb2.Struct):
        fields = {key: plain(item) for key, item in value.fields.items()}
        return fields.get("value") if fields.get(SIGNATURE) == SECRET else fields
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain(value.struct_value)
    if kind == "list_value":
        return [plain(item) for item in value.list_value.values]
    if kind == "number_value":
        return int(value.number_value) if value.number_value.is_integer() else value.number_value
    return None if kind in (None, "null_value") else getattr(value, kind)


def struct(values: Values) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update({key: value for key, value in values.items() if value is not None})
    return made


def clean(**words: Any) -> Values:
    """Without what is not given."""
    return {key: value for key, value in words.items() if value not in (None, [], {})}


def pascal(value: Any) -> Any:
    """{"httpTokens": x} as {"HttpTokens": x}: most nested arguments differ from AWS's only so."""
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: pascal(item) for key, item in value.items() if item is not None}
    return [pascal(item) for item in value] if isinstance(value, list) else value


def flatten(value: Any, path: str = "") -> Values:
    """Leaves by property path, as Pulumi writes them: a.b[0].c"""
    if isinstance(value, dict) and value:
        named = {f"{path}.{key}" if path else key: sub for key, sub in value.items() if key[:2] != "__"}
        return {leaf: item for key, sub in named.items() for leaf, item in flatten(sub, key).items()}
    if isinstance(value, list) and value:
        numbered = {f"{path}[{n}]": sub for n, sub in enumerate(value)}
        return {leaf: item for key, sub in numbered.items() for leaf, item in flatten(sub, key).items()}
    return {} if value in (None, {}, []) else {path: value}


def top(path: str) -> str:
    """a of a.b[0].c"""
    return path.replace("[", ".").split(".")[0]


def truth(value: Any) -> Any:
    return value == "true" if isinstance(value, str) else value


def aws_tags(tags: Values | None) -> list[Values]:
    return [{"Key": key, "Value": str(value)} for key, value in (tags or {}).items()]


def from_tags(tags: list[Values] | None) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags or [] if not tag["Key"].startswith("aws:")}
