"""What the types cannot say of rented pools."""

from __future__ import annotations

import re

from .notes import Notes
from .sections import Aws, Pool, Stack

INSTANCE = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")  # g5.2xlarge
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")  # eu-central-1
IMAGES = ("nvidia", "ubuntu-24.04", "ubuntu-22.04")
AMI = re.compile(r"ami-[0-9a-f]{8,17}")
CURRENCY = "USD"  # of AWS's price lists
BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()/-]*)?")
EVERYBODY = ("0.0.0.0/0", "::/0")


def is_slot(name: str, pool: str) -> bool:
    """Whether a host of this name would be one of the pool's: burst-0."""
    return bool(re.fullmatch(rf"{re.escape(pool)}-[0-9]+", name))


def check(path: str, pool: Pool, notes: Notes) -> None:
    if pool.aws is None:
        if f"{path}.count" in notes.given and pool.hosts:
            got = "count without aws"
            notes.about(f"{path}.count", "count beside aws", got, "take it out; owned hosts are listed")
        return
    if pool.hosts:
        return
    aws, where = pool.aws, f"{path}.aws"
    _words(f"{where}.regions", aws.regions, REGION, "a region, such as eu-central-1", notes)
    _words(f"{where}.instances", aws.instances, INSTANCE, "an instance type, such as g5.2xlarge", notes)
    if aws.image not in IMAGES and not AMI.fullmatch(aws.image):
        got, step = aws.image, "write nvidia for one with the driver baked in"
        notes.about(f"{where}.image", f"one of {', '.join(IMAGES)}, or an AMI id", got, step)
    for key in ("ssh_from", "gateway_from"):
        _networks(f"{where}.{key}", getattr(aws, key), notes)
    _one_region(where, aws, notes)
    if aws.max_price and not aws.max_price.upper().endswith(CURRENCY):
        expected = f"a price in {CURRENCY}, in which AWS bills"
        notes.about(f"{where}.max_price", expected, aws.max_price, f"write it in {CURRENCY}")
    if pool.count and pool.count.high == 0:
        got, step = "0", "write 0-1 for one that is parked, or take the pool out"
        notes.about(f"{path}.count", "at least one host at most", got, step)


def _words(path: str, words: tuple[str, ...], form: re.Pattern[str], expected: str, notes: Notes) -> None:
    if not words and not notes.troubled(path):
        notes.about(path, f"at least {expected}", "none", "add one")
    for index, word in enumerate(words):
        if not form.fullmatch(word):
            notes.about(f"{path}[{index}]", expected, word, "look at AWS's list of them")


def check_clients(stack: Stack, notes: Notes) -> None:
    """Everybody may be let in here: the gateway has TLS and keys."""
    _networks("gateway.clients_from", stack.gateway.clients_from, notes, everybody=True)


def _networks(path: str, words: tuple[str, ...], notes: Notes, *, everybody: bool = False) -> None:
    """`auto`, or networks."""
    import ipaddress

    for index, word in enumerate(words):
        if word == "auto":
            continue
        try:
            network = str(ipaddress.ip_network(word))
        except ValueError:
            got, step = word, "write an address with its length, such as 203.0.113.7/32"
            notes.about(f"{path}[{index}]", "auto, or a network", got, step)
            continue
        if network in EVERYBODY and not everybody:
            got, step = f"{word}, which is everybody", "write auto, or your own network"
            notes.about(f"{path}[{index}]", "networks that you know", got, step)


def _one_region(path: str, aws: Aws, notes: Notes) -> None:
    """A subnet and an AMI id belong to one region."""
    if len(aws.regions) < 2:
        return
    for key, value in (("subnet", aws.subnet), ("image", aws.image if AMI.fullmatch(aws.image) else None)):
        if value:
            got, step = f"{value}, and {len(aws.regions)} regions", "make a pool for each region"
            notes.about(f"{path}.{key}", "one region beside it", got, step)


def check_state(stack: Stack, notes: Notes) -> None:
    if stack.state is None:
        return
    bucket = stack.state.bucket
    if bucket is not None and not BUCKET.fullmatch(bucket):
        got, step = bucket, "leave it out, and a bucket is made"
        notes.about("state.bucket", "a bucket of S3, such as s3://office-hostler/llm", got, step)
    elif not any(pool.aws for pool in stack.pools.values()) and not notes.troubled("pools"):
        got, step = "only owned hosts, whose state is made anew from the file at any time", "take it out"
        notes.about("state", "a pool with aws beside it", got, step)
