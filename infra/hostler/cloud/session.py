"""Asking AWS: short limits, few retries, several regions side by side.

boto3 and botocore carry no types, and take 0.2 s to import: they come by `import_module`, when something is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any

from hostler.cloud.trouble import from_aws

CONNECT_S = 5
READ_S = 20
ATTEMPTS = 3
AT_ONCE = 16


def client(service: str, region: str = "us-east-1") -> Any:
    """A boto3 client with the user's usual credentials. Made and used within `asking`: making one reads the user's
    files, which may be wrong."""
    session = import_module("botocore.session").get_session()
    session.register_component("data_loader", _loader())
    limits = import_module("botocore.config").Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        user_agent_extra="hostler",
    )
    made = import_module("boto3").Session(botocore_session=session, region_name=region)
    return made.client(service, config=limits)


@lru_cache(maxsize=1)
def _loader() -> Any:
    """The descriptions of AWS's services, read once: 0.2 s for EC2's."""
    return import_module("botocore.loaders").Loader()


def _regions() -> set[str]:
    """All regions that this version of boto3 knows."""
    session = import_module("boto3").Session()
    partitions = session.get_available_partitions()
    return {region for one in partitions for region in session.get_available_regions("ec2", one)}


@contextmanager
def asking(where: str, region: str = "") -> Generator[None]:
    """Every error of AWS inside becomes AwsError; `where` is what was asked: "instance types of eu-central-1"."""
    errors = import_module("botocore.exceptions")
    try:
        yield
    except (errors.BotoCoreError, errors.ClientError) as error:
        raise from_aws(error, where, region, _regions) from error


def pages(client: Any, operation: str, key: str, **question: Any) -> list[Any]:
    """All items of all pages of an answer."""
    if not client.can_paginate(operation):
        return list(getattr(client, operation)(**question).get(key, []))
    answers = client.get_paginator(operation).paginate(**question)
    return [item for answer in answers for item in answer.get(key, [])]


def side_by_side[K, V](ask: Callable[[K], V], keys: Iterable[K]) -> dict[K, V]:
    """`ask` of each key, in threads; the answers in the keys' order. Raises the error of the first key that has one."""
    wanted = list(dict.fromkeys(keys))
    if len(wanted) < 2:
        return {key: ask(key) for key in wanted}
    with ThreadPoolExecutor(min(AT_ONCE, len(wanted))) as threads:
        running = {key: threads.submit(ask, key) for key in wanted}
        return {key: future.result() for key, future in running.items()}
