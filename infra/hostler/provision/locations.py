"""Where Pulumi's things are on the operator's machine, the passphrase, and the CLI's environment."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from hostler.errors import ProvisionError, UsageError

PROJECT = "hostler"
PASSPHRASE = "passphrase"  # noqa: S105 the name of Pulumi's way to keep secrets
SECRETS = ("encryptionsalt", "secretsprovider", "encryptedkey")  # lines of the settings file
PRIVATE_DIRECTORY, PRIVATE_FILE = 0o700, 0o600
PASSPHRASE_VARIABLES = ("HOSTLER_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE")
PASSPHRASE_FILE = "~/.local/state/hostler/stacks/{stack}/pulumi/passphrase"  # noqa: S105 a path
STACK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
QUIET: Mapping[str, str] = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",  # owned hosts need no plugin
    "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
    "PULUMI_SUPPRESS_NEO_LINK": "true",
    "PULUMI_CREDENTIAL_STORE": "plaintext",  # a file backend has no credentials; never ask a key ring
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Locations:
    """The folders of one stack. `url`: of the state, where it is not in one of them."""

    stack: str
    base: Path
    url: str = ""
    secrets: str = PASSPHRASE
    part: str = "pulumi"

    @classmethod
    def of(cls, stack: str, base: Path | None = None, secrets: str = PASSPHRASE) -> Locations:
        if not STACK_NAME.fullmatch(stack):
            raise UsageError.of(
                "stack",
                expected="a name of letters, digits, dots, dashes and underscores, at most 100",
                got=repr(stack),
                next_step="set `stack:` in the stack file",
            )
        return cls(stack=stack, base=base or Path(platformdirs.user_state_dir("hostler")), secrets=secrets)

    @property
    def folder(self) -> Path:
        return self.base / "stacks" / self.stack / self.part

    @property
    def work(self) -> Path:
        """Pulumi's working directory: kept, since the salt of the passphrase stands in it."""
        return self.folder / "work"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def backend(self) -> str:
        """Without the backend's `.attrs` files: those are not written atomically, and a CLI that is killed
        while it writes one leaves a state that nothing reads any more ("failed to load checkpoint: EOF")."""
        return self.url or f"file://{self.state}?metadata=skip"

    @property
    def passphrase(self) -> Path:
        return self.folder / "passphrase"

    @property
    def running(self) -> Path:
        """Which CLI process runs for which of ours, a file each; see locks.py."""
        return self.folder / "running"

    @property
    def pulumi_home(self) -> Path:
        return self.base / "pulumi"

    @property
    def full_name(self) -> str:
        return f"organization/{PROJECT}/{self.stack}"

    @property
    def locks(self) -> Path:
        return self.state / ".pulumi" / "locks" / self.full_name

    @property
    def checkpoint(self) -> Path:
        return self.state / ".pulumi" / "stacks" / PROJECT / f"{self.stack}.json"

    @property
    def settings(self) -> Path:
        return self.work / f"Pulumi.{self.stack}.yaml"

    @property
    def exists(self) -> bool:
        """Of a stack whose state is here."""
        return self.checkpoint.exists() and self.settings.exists()

    def scratch(self) -> Locations:
        """Folders for a preview of a stack that is not there yet; the CLI's home is shared."""
        return replace(self, part="preview", url="", secrets=PASSPHRASE)

    def make(self) -> None:
        above = (self.base, self.base / "stacks", self.folder.parent)
        for folder in (*above, self.folder, self.work, self.state, self.pulumi_home):
            folder.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            folder.chmod(PRIVATE_DIRECTORY)
        for attributes in self.checkpoint.parent.glob("*.attrs"):  # of a `pulumi` by hand with another URL
            attributes.unlink()


def environment(places: Locations) -> dict[str, str]:
    """What the CLI needs; the passphrase by file, unless the user's own environment has it."""
    return {
        **QUIET,
        "PULUMI_HOME": str(places.pulumi_home),
        "PULUMI_BACKEND_URL": places.backend,
        "PULUMI_STACK": places.full_name,
        **({"AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required"} if "endpoint=" in places.url else {}),
        **passphrase(places),
    }


def inherited(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Our own environment without the user's Pulumi settings, which may name another stack or backend."""
    drop = ("PULUMI_", *PASSPHRASE_VARIABLES)
    return {key: value for key, value in environ.items() if not key.startswith(drop)}


def passphrase(places: Locations, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    given = next((environ[key] for key in PASSPHRASE_VARIABLES if environ.get(key)), None)
    if places.secrets != PASSPHRASE:
        return {}
    if given is not None:
        return {"PULUMI_CONFIG_PASSPHRASE": given}
    if named := environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        return {"PULUMI_CONFIG_PASSPHRASE_FILE": named}
    if not places.passphrase.exists():
        _make_passphrase(places)
    return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(places.passphrase)}


def _make_passphrase(places: Locations) -> None:
    if settings_of(places).get("encryptionsalt"):  # they hold the salt of the passphrase that made the stack
        raise ProvisionError.of(
            f"stack {places.stack}",
            expected=f"its passphrase in {' or '.join(PASSPHRASE_VARIABLES)}",
            got="neither, and the stack was made with one from the environment, or on another machine",
            next_step="set HOSTLER_PASSPHRASE to the passphrase that the stack was made with; where it was made "
            f"it is in {PASSPHRASE_FILE.format(stack=places.stack)}",
        )
    places.make()
    try:
        handle = os.open(places.passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    except FileExistsError:
        return  # another of ours made it in between
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")


def settings_of(places: Locations) -> dict[str, Any]:
    """Of the stack's settings file; empty where there is none."""
    if not places.settings.exists():
        return {}
    import yaml

    return dict(yaml.safe_load(places.settings.read_text()) or {})


def write_settings(places: Locations, lines: Mapping[str, str]) -> None:
    """The salt or the encrypted key stands in the state too; a settings file that says otherwise is of another one."""
    import yaml

    found = settings_of(places)
    if any(found.get(key) != value for key, value in lines.items()):
        places.make()
        kept = {key: value for key, value in found.items() if key not in SECRETS}
        places.settings.write_text(yaml.safe_dump(kept | dict(lines)))


def opens(places: Locations) -> bool:
    """Whether the passphrase is the stack's own: the salt's test message must decrypt.

    The same work as Pulumi's (PBKDF2, a million rounds, AES-GCM), 0.3 s: only asked after a failure.
    """
    import base64
    import hashlib

    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salted = str(settings_of(places).get("encryptionsalt", ""))
    if not salted.startswith("v1:"):
        return True
    _, salt, _, nonce, secret = salted.split(":")
    key = hashlib.pbkdf2_hmac("sha256", phrase(places).encode(), base64.b64decode(salt), 1_000_000, 32)
    try:
        AESGCM(key).decrypt(base64.b64decode(nonce), base64.b64decode(secret), None)
    except InvalidTag:
        return False
    return True


def phrase(places: Locations) -> str:
    """The stack's passphrase itself."""
    found = passphrase(places)
    if "PULUMI_CONFIG_PASSPHRASE" in found:
        return found["PULUMI_CONFIG_PASSPHRASE"]
    return Path(found["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text().strip()
