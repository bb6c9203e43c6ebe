"""Scalars with units, and other text whose meaning a pattern alone does not give: parsers of `forms`, and the way back."""

from __future__ import annotations

import re

from . import kmskeys
from .fields import Range

_UNITS_TIME = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNITS_SIZE = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip


class FormError(ValueError):
    """The text has not this form; the message says why where the pattern alone does not."""


def _limited(value: float, least: float, most: float, words: str) -> float:
    if not least <= value <= most:
        raise FormError(f"out of range, which is {words}")
    return value


def _amount(text: str) -> tuple[float, str]:
    found = re.fullmatch(r"([0-9.]+) ?([A-Za-z]*)", text)
    assert found  # noqa: S101  the pattern was matched before
    return float(found[1]), found[2]


def seconds(text: str) -> float:
    number, unit = _amount(text)
    return _limited(round(number * _UNITS_TIME[unit], 3), 0, 3650 * 86400, "0s to 3650d")


def show_seconds(value: float) -> str:
    unit = next(u for u in ("d", "h", "m", "s") if value % _UNITS_TIME[u] == 0 or u == "s")
    return f"{value / _UNITS_TIME[unit]:.3f}".rstrip("0").rstrip(".") + unit if value else "0s"


def size(text: str) -> int:
    number, unit = _amount(text)
    return int(_limited(number * _UNITS_SIZE[unit], 1, 2**50, "1 B to 1024 TiB"))


def show_size(value: int) -> str:
    unit = next((u for u in ("TiB", "GiB", "MiB", "KiB") if value % _UNITS_SIZE[u] == 0), "B")
    return f"{value // _UNITS_SIZE[unit]} {unit}"


def rate(text: str) -> int:
    number, unit = _amount(text.removesuffix("/s"))
    return int(_limited(number * _UNITS_SIZE[unit], 1000, 10**12, "1 KB/s to 1 TB/s"))


def show_rate(value: int) -> str:
    unit = next((u for u in ("TB", "GB", "MB", "KB") if value % _UNITS_SIZE[u] == 0), "")
    return f"{value // _UNITS_SIZE[unit]} {unit}/s" if unit else f"{show_size(value)}/s"


def watts(text: str) -> int:
    return int(_limited(_amount(text)[0], 1, 10000, "1 W to 10000 W"))


def tokens(text: str) -> int:
    number, unit = _amount(text)
    scale = {"": 1, "k": 2**10, "m": 2**20}[unit.lower()]
    return int(_limited(number * scale, 256, 2**24, "256 to 16M"))


def show_tokens(value: int) -> str:
    return f"{value // 1024}k" if value % 1024 == 0 else str(value)


def low_high(text: str) -> Range:
    low, _, high = text.partition("-")
    value = Range(int(low), int(high or low))
    if value.low > value.high:
        raise FormError("a range that ends below its start")
    _limited(value.high, 0, 1000, "0 to 1000")
    return value


def address(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") else text
    if ":" in bare or re.fullmatch(r"[0-9.]+", bare):
        import ipaddress

        try:
            ipaddress.ip_address(bare.rstrip("."))
        except ValueError:
            raise FormError("no valid IP address") from None
    return bare


def jump(text: str) -> str:
    for hop in text.split(","):
        _port(hop.rpartition(":")[2] if re.search(r":[0-9]+$", hop) and not hop.endswith("]") else "1")
    return text


def _port(text: str) -> int:
    return int(_limited(int(text), 1, 65535, "ports 1 to 65535"))


def sha256(text: str) -> str:
    return text.removeprefix("sha256:").lower()


def image(text: str) -> str:
    if "@" not in text and ":" not in text.rpartition("/")[2]:
        raise FormError("no tag")
    return text


def kms_key(text: str) -> str:
    try:
        return kmskeys.plain(text)
    except ValueError as error:
        raise FormError(str(error)) from error


def window(text: str) -> str:
    """With the minutes of both times."""
    found = re.fullmatch(r"([A-Z]\S+ )?([0-9:]+)-([0-9:]+)( \S+)?", text)
    assert found  # noqa: S101  the pattern was matched before
    start, end = (clock if ":" in clock else f"{clock}:00" for clock in (found[2], found[3]))
    return f"{found[1] or ''}{start}-{end}{found[4] or ''}"
