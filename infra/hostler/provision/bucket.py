"""The state in an S3 bucket: one for all laptops, versioned. boto3 is imported where it is asked."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

from hostler.cloud.session import asking, client, pages
from hostler.cloud.trouble import AwsError
from hostler.errors import ProvisionError, UsageError
from hostler.provision import locks, state
from hostler.provision.locations import PROJECT, Locations

FIRST_REGION = "us-east-1"  # where S3 says the region of a bucket that is anywhere
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
LONGEST = 63
ABSENT = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NotFound"})
MOVED = frozenset(
    {"301", "PermanentRedirect", "400", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


class Bucket:
    """A Store. `state`: s3://bucket/prefix, or s3:// for the account's own."""

    def __init__(self, places: Locations, state: str, *, uid: str = "", region: str = "") -> None:
        self.places, self.uid = places, uid
        self.wanted_region = region or os.environ.get("AWS_REGION") or FIRST_REGION
        self.own, self._named, self.prefix = split(state)

    @cached_property
    def name(self) -> str:
        """Raises ProvisionError where the account is to be asked and does not answer."""
        return self._named or own_name(self.account, self.places.stack)

    @cached_property
    def account(self) -> str:
        """Whose credentials they are."""
        with asking("account of the AWS credentials"):
            return str(client("sts", self.wanted_region).get_caller_identity()["Account"])

    @property
    def where(self) -> str:
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    @property
    def url(self) -> str:
        """As the CLI's backend wants it; an endpoint of the user's own has paths for buckets, not names."""
        query = {"region": self.region}
        if endpoint := next((os.environ[key] for key in ENDPOINTS if os.environ.get(key)), ""):
            query |= {"endpoint": endpoint, "s3ForcePathStyle": "true"}
        return f"{self.where}?{urlencode(query)}"

    @property
    def region(self) -> str:
        """As the bucket says; where it is not there yet, the one in which it will be made."""
        return self._region or self.wanted_region

    @cached_property
    def _region(self) -> str | None:
        return self.found_region()

    @cached_property
    def s3(self) -> Any:
        return client("s3", self.region)

    def found_region(self) -> str | None:
        """None where there is no such bucket. Raises where it is somebody else's."""
        owner = {"ExpectedBucketOwner": self.account} if self.own else {}
        try:
            with asking(self.where):
                answer = client("s3", self.wanted_region).head_bucket(Bucket=self.name, **owner)
        except AwsError as error:
            region = _region(getattr(error.__cause__, "response", {}))
            if error.aws_code in ABSENT:
                return None
            if error.kind == "forbidden":
                raise self.not_ours(error) from error
            if error.aws_code in MOVED and region:
                return region
            raise
        return _region(answer) or str(answer.get("BucketRegion") or self.wanted_region)

    def not_ours(self, error: AwsError) -> ProvisionError:
        return ProvisionError.of(
            f"state {self.where}",
            expected="a bucket of this account, or one that these credentials may read and write",
            got=f"somebody else's, or no right to it ({error.aws_code})",
            next_step="aws sts get-caller-identity shows whose credentials they are; name another bucket with "
            "`state:` in the stack file",
        )

    # -- what is in it ------------------------------------------------------------------------------------

    def key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    def exists(self) -> bool:
        return self.there and self._read(self.key(checkpoint_path(self.places))) is not None

    @property
    def there(self) -> bool:
        return self._region is not None

    def came(self) -> None:
        """It was made just now."""
        self.__dict__["_region"] = self.region

    def make(self) -> None:
        from hostler.provision.bucket_life import make

        self.places.make()
        make(self)

    def checkpoint(self) -> dict[str, Any]:
        text = self._read(self.key(checkpoint_path(self.places))) if self.there else None
        return state.deployment(json.loads(text)) if text else {}

    def locks(self) -> tuple[locks.BackendLock, ...]:
        if not self.there:
            return ()
        keys = self.keys(self.key(f".pulumi/locks/{self.places.full_name}/"))
        found = ((key, self._read(key)) for key in keys if key.endswith(".json"))
        return tuple(locks.parse(key, text) for key, text in found if text)

    def document(self, name: str) -> dict[str, Any] | None:
        text = self._read(self.key(document_path(self.places, name))) if self.there else None
        return dict(json.loads(text)) if text else None

    def keep(self, name: str, data: Mapping[str, Any]) -> None:
        if not self.there:
            self.make()
        body = json.dumps(data).encode()
        with asking(self.where):
            self.s3.put_object(Bucket=self.name, Key=self.key(document_path(self.places, name)), Body=body)

    def remove(self) -> tuple[str, ...]:
        from hostler.provision.bucket_life import remove
        from hostler.provision.folder import Folder

        left = remove(self) if self.there else ()
        self.__dict__.pop("_region", None)
        return (*left, *Folder(self.places).remove())

    def keys(self, prefix: str) -> list[str]:
        with asking(self.where):
            found = pages(self.s3, "list_objects_v2", "Contents", Bucket=self.name, Prefix=prefix)
        return [item["Key"] for item in found]

    def _read(self, key: str) -> str | None:
        try:
            with asking(f"{self.where}: {key}"):
                return str(self.s3.get_object(Bucket=self.name, Key=key)["Body"].read(), "utf-8")
        except AwsError as error:
            if error.aws_code in ABSENT:
                return None
            raise


def _region(answer: Mapping[str, Any]) -> str:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-amz-bucket-region", ""))


def split(named: str) -> tuple[bool, str, str]:
    """(the account's own, bucket, prefix)."""
    parts = urlsplit(named)
    good = parts.scheme == "s3" and not parts.query and (not parts.netloc or NAME.fullmatch(parts.netloc))
    if not good or (parts.path.strip("/") and not parts.netloc):
        raise UsageError.of(
            "state", expected="s3://BUCKET or s3://BUCKET/PREFIX", got=named,
            next_step="a bucket's name has 3 to 63 small letters, digits, dots and dashes",
        )  # fmt: skip
    return not parts.netloc, parts.netloc, parts.path.strip("/")


def own_name(account: str, stack: str) -> str:
    """The bucket of an account's stack, a function of the two. A stack's name that no bucket may have is shortened
    and gets a part of its digest."""
    head = f"hostler-{account}-"
    plain = re.sub(r"[^a-z0-9-]", "-", stack.lower()).strip("-")
    if plain == stack and len(head + plain) <= LONGEST:
        return head + plain
    digest = hashlib.sha256(stack.encode()).hexdigest()[:8]
    return f"{head}{plain[: LONGEST - len(head) - 9].strip('-')}-{digest}"


def checkpoint_path(places: Locations) -> str:
    return f".pulumi/stacks/{PROJECT}/{places.stack}.json"


def document_path(places: Locations, name: str) -> str:
    return f".hostler/{places.stack}/{name}.json"
