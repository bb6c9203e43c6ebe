"""The provider's configuration: region, credentials, default tags; and its clients."""

import json
import os
import threading
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .values import UNKNOWN, Values, clean, truth

SEE = (
    "Please see https://www.pulumi.com/registry/packages/aws/installation-configuration/ "
    "for more information about providing credentials."
)
NO_REGION = (
    "missing region information\nMake sure you have set your AWS region, "
    "e.g. `pulumi config set aws:region us-west-2`."
)
RETRIES = 3  # the real provider's are 25


class Settings:
    """What the provider was configured with. Clients are made once for a service and region."""

    def __init__(self) -> None:
        self.cancelled, self.lock = threading.Event(), threading.Lock()
        self.clients: dict[tuple[str, str], Any] = {}
        self.region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
        self.account, self.retries = "", RETRIES
        self.default_tags: Values = {}
        self.keys: dict[str, str] = {}

    def client(self, service: str, region: str) -> Any:
        with self.lock:  # making one is not safe in threads, using it is
            if (service, region) not in self.clients:
                retries: Any = {"mode": "standard", "total_max_attempts": self.retries + 1}
                limits: Any = {"connect_timeout": 5, "read_timeout": 120, "max_pool_connections": 64}
                self.clients[service, region] = boto3.client(
                    service,  # pyright: ignore[reportArgumentType, reportCallIssue]
                    region_name=region,
                    config=Config(retries=retries, **limits),
                    **self.keys,
                )
            return self.clients[service, region]

    def configure(self, words: Values) -> str:
        """Why it cannot work so, or nothing."""

        def get(key: str) -> Any:
            value = words.get(key)
            return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value

        self.region = get("region") or self.region
        self.retries = int(words.get("maxRetries") or RETRIES)
        self.default_tags = (get("defaultTags") or {}).get("tags") or {}
        self.keys = clean(
            aws_access_key_id=get("accessKey"),
            aws_secret_access_key=get("secretKey"),
            aws_session_token=get("token"),
        )
        self.clients.clear()
        if not self.region:
            return NO_REGION
        if truth(get("skipCredentialsValidation")) or UNKNOWN in words.values():
            return ""
        return self._who_we_are()

    def _who_we_are(self) -> str:
        try:
            if boto3.Session(**self.keys).get_credentials() is None:  # pyright: ignore[reportArgumentType]
                return f"No valid credential sources found.\n{SEE}"
            self.account = self.client("sts", self.region).get_caller_identity()["Account"]
        except (ClientError, BotoCoreError) as error:
            return f"Invalid credentials configured.\n{SEE}\nError: {text_of(error)}"
        return ""


def text_of(error: Exception) -> str:
    """In the AWS provider's words."""
    if not isinstance(error, ClientError):
        return str(error) or type(error).__name__
    about, action = error.response["ResponseMetadata"], error.operation_name
    told = error.response["Error"]
    iam = ("Role" in action or "InstanceProfile" in action) and "Associat" not in action
    service = "STS" if action == "GetCallerIdentity" else "IAM" if iam else "EC2"
    return (
        f"operation error {service}: {action}, https response error StatusCode: {about.get('HTTPStatusCode')}, "
        f"RequestID: {about.get('RequestId', '')}, api error {told.get('Code')}: {told.get('Message')}"
    )
