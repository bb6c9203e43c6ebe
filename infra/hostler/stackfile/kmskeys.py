"""How a key of AWS KMS is written: as the console shows it, or as Pulumi names it."""

from __future__ import annotations

import re

_REGION = r"[a-z]{2}(?:-[a-z]+)+-[0-9]"
_ID = r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})"
_ALIAS = r"alias/[A-Za-z0-9/_-]+"
_ARN = rf"arn:aws[a-z-]*:kms:{_REGION}:[0-9]{{12}}:(?:key/{_ID}|{_ALIAS})"
PATTERN = rf"(?:awskms:/{{2,3}})?(?:{_ALIAS}|{_ID}|{_ARN})(?:\?region={_REGION})?"
SHORT = re.compile(r"[A-Za-z0-9_-]{1,250}(?:\?region=[a-z0-9-]+)?")  # an alias without the word


def plain(text: str) -> str:
    """Of text that the pattern matches: without Pulumi's scheme, and without a region that the ARN says already. Raises
    ValueError."""
    name, _, query = re.sub(r"^awskms:/{2,3}", "", text).partition("?")
    region = query.removeprefix("region=")
    if re.search(r"(?:^|:)alias/aws/", name):
        raise ValueError("a key that AWS's own services alone may use")
    if not name.startswith("arn:"):
        return f"{name}?region={region}" if region else name
    if region not in ("", own := name.split(":")[3]):
        raise ValueError(f"two regions, {own} and {region}")
    return name
