"""Sections about what lies outside the hosts: where things come from, secrets, updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .fields import (
    Base,
    KmsKey,
    ModelName,
    Path,
    Rate,
    Seconds,
    SecretName,
    Text,
    Variable,
    Window,
    Word,
    entry,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where Pulumi keeps the state of rented machines, for all laptops. Short form: the bucket."""

    bucket: Text | None = entry(
        "a bucket of S3, with a prefix if it is shared; one of the AWS account, made at the first `up`, if not given",
        None,
        example="s3://office-hostler/llm",
    )
    kms: KmsKey | None = entry(
        "the AWS KMS key that encrypts the secrets in the state and the stack's SSH key beside it, so that another laptop "
        "needs AWS credentials alone (kms:Encrypt and kms:Decrypt with this key); a passphrase (HOSTLER_PASSPHRASE) if "
        "not given. Changing it later encrypts them anew at the next `up`",
        None,
        example="alias/hostler",
    )


BY_ITSELF = ("daily", "weekly", "monthly")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Who is told: one of the three. Short form: the address."""

    url: Word | None = entry(
        "a webhook: it gets JSON with stack, event, text, details",
        None,
        example="https://chat.office.example/hook",
    )
    secret: SecretName | None = entry(
        "a webhook whose address is a secret of this name", None, example="CHAT_HOOK"
    )
    command: Text | None = entry(
        "a shell line, with the same JSON on standard input; it runs in the controller's container, which has curl "
        "and Python",
        None,
        example='"curl -sS -d @- https://chat.office.example/hook"',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Updates:
    """What floats, and when it is looked for. `daily`, `weekly`, `monthly`: taken that often at most, without anyone, by
    the controller on the gateway's host. Short form: one word for engines and models."""

    engines: Literal["never", "report", "daily", "weekly", "monthly"] = entry(
        "tags of engine images", "report", example="weekly"
    )
    models: Literal["never", "report", "daily", "weekly", "monthly"] = entry("revisions of models", "report")
    hostler: Literal["never", "report", "daily", "weekly", "monthly"] = entry(
        "Hostler itself", "report", built=False
    )
    packages: Literal["never", "daily", "weekly", "monthly"] = entry(
        "security fixes of the hosts' own packages that nothing has to stop for, as `hostler upgrade --apply` takes them; "
        "never drivers, Docker or the kernel",
        "never",
    )
    window: Window | None = entry(
        "when changes may be made without anyone; at any time if not given",
        None,
        example='"Sun 03:00-05:00 Europe/Berlin"',
    )
    min_age: Seconds = entry(
        "how old a version must be until it is taken: an image since it was made, and what is taken without anyone "
        "since it was first seen, while newer ones wait behind it",
        3 * 86400.0,
        example="3d",
    )
    bake: Seconds = entry(
        "how long the first replica of an update is watched under real requests until the others follow",
        600.0,
        example="10m",
    )
    order: tuple[ModelName, ...] = entry(
        "models in the order in which they are updated, one at a time; those not named follow, by name",
        (),
        example="[fast, chat]",
    )
    notify: tuple[Notify, ...] = entry(
        "who is told what the controller found, did, or could not do",
        (),
        example="[https://chat.office.example/hook]",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """Where a secret comes from. Short form `env`: the environment variable of its name."""

    env: Variable | None = entry("an environment variable", None, example="HF_TOKEN")
    command: Text | None = entry("a command that prints it", None, example='"pass show anthropic"')
    file: Path | None = entry("a file that holds it", None, example="~/.config/hf-token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """Where hosts, and the machine that runs Hostler, get things instead of the internet's own addresses. What runs
    is named as without a mirror, by the same digests: taking it away changes nothing. Certificates of a private
    authority must be trusted by the system of each host, and here (SSL_CERT_FILE). Hosts need no Python packages, but
    for the controller's (`updates`); those of Hostler here come from where pip or uv of this machine look."""

    images: Base | None = entry(
        "a registry; an image's path follows the address (ghcr.io/a/b is ADDRESS/a/b, haproxy ADDRESS/library/haproxy), "
        "and {registry} in it stands for the image's own registry; registries with a port are asked themselves",
        None,
        example="https://registry.office.example",
    )
    hub: Base | None = entry(
        "a server that answers as huggingface.co does; HF_TOKEN is sent there instead",
        None,
        example="https://hub.office.example",
    )
    apt: Base | None = entry(
        "takes the place of https://nvidia.github.io and https://developer.download.nvidia.com, on Enterprise Linux of "
        "https://download.docker.com and https://dl.fedoraproject.org (for dkms alone) as well; the path stays, and the "
        "system's own sources stay as they are",
        None,
        example="https://apt.office.example",
    )
    python: Base | None = entry(
        "a Python package index in place of PyPI, for the controller on the gateway's host",
        None,
        example="https://pypi.office.example/simple",
    )
    toolkit_key: Path | None = entry(
        "the OpenPGP key that signs NVIDIA's container toolkit packages on your mirror, instead of NVIDIA's own",
        None,
        example="~/.config/hostler/toolkit.asc",
    )
    driver_key: Path | None = entry(
        "the OpenPGP key that signs NVIDIA's driver packages on your mirror, instead of NVIDIA's own; on Enterprise "
        "Linux that of dkms as well, and the file may hold both",
        None,
        example="~/.config/hostler/driver.asc",
    )
    docker_key: Path | None = entry(
        "the OpenPGP key that signs Docker's packages for Enterprise Linux on your mirror, instead of Docker's own",
        None,
        example="~/.config/hostler/docker.asc",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloads:
    """How weights come to the hosts. Short form: the limit."""

    limit: Rate | None = entry(
        "how fast each host downloads weights at most; images are Docker's, and not limited",
        None,
        example="40 MB/s",
    )
