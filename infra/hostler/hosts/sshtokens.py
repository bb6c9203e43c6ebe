"""~/.ssh/config as paramiko reads it, without its needless question to DNS.

It looks up this machine's own full name, the token %l, wherever that may stand, also where it does not: 5 seconds a
host on a machine whose name DNS does not know.
"""

from __future__ import annotations

from typing import Any

from paramiko import SSHConfig

FULL_NAME = "%l"
_KNOWN: dict[str, list[str]] = SSHConfig.TOKENS_BY_CONFIG_KEY


class _Offline(SSHConfig):
    TOKENS_BY_CONFIG_KEY = {key: [t for t in tokens if t != FULL_NAME] for key, tokens in _KNOWN.items()}  # noqa: RUF012


class Config(SSHConfig):
    """Asks DNS only for a value that has %l."""

    def _tokenize(self, config: Any, target_hostname: str, key: str, value: str) -> Any:
        if not value:
            return value
        reader: Any = super() if FULL_NAME in value else _Offline()
        return reader._tokenize(config, target_hostname, key, value)
