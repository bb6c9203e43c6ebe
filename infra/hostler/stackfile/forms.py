"""How each form of scalar is written: its pattern (also the schema's), its parser, and the way back.

A pattern is an ASCII regular expression that the whole text must match; ECMA-262 reads it alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import kmskeys
from .fields import Range

CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_DNS = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_IPV6 = r"[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f.]*(?:%[A-Za-z0-9]+)?"
_USER = r"[A-Za-z_][A-Za-z0-9._-]*"
_HOP = rf"(?:{_USER}@)?(?:{_DNS}|\[{_IPV6}\])(?::[0-9]{{1,5}})?"
HOST = rf"(?:{_USER}@)?(?:{_DNS}|{_IPV6}|\[{_IPV6}\])(?::[0-9]{{1,5}})?"  # the short form of a host
_UNITS_TIME = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNITS_SIZE = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"


class FormError(ValueError):
    """The text has not this form; the message says why where the pattern alone does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """`expected` completes "expected ..."; `parse` gets text that the pattern matches and raises
    FormError; `show` is its inverse. `hidden`: the text may be a secret and is never repeated."""

    expected: str
    pattern: str
    parse: Callable[[str], Any] = str
    show: Callable[[Any], str] = str
    number: bool = False  # a bare number is good too
    longest: int = 253
    hidden: bool = False


def parse(form: str, text: str) -> Any:
    """The value. Raises FormError, with a message where more can be said than what was expected."""
    spec = FORMS[form]
    if found := CONTROL.search(text):
        raise FormError(f"a control character (U+{ord(found[0]):04X})")
    if len(text) > spec.longest:
        raise FormError(f"{len(text)} characters, of at most {spec.longest}")
    if not re.fullmatch(spec.pattern, text):
        raise FormError("")
    return spec.parse(text)


def show(form: str, value: Any) -> str:
    """The value as a stack file writes it."""
    return FORMS[form].show(value)


def _limited(value: float, least: float, most: float, words: str) -> float:
    if not least <= value <= most:
        raise FormError(f"out of range, which is {words}")
    return value


def _amount(text: str) -> tuple[float, str]:
    found = re.fullmatch(r"([0-9.]+) ?([A-Za-z]*)", text)
    assert found  # noqa: S101  the pattern was matched before
    return float(found[1]), found[2]


def _seconds(text: str) -> float:
    number, unit = _amount(text)
    return _limited(round(number * _UNITS_TIME[unit], 3), 0, 3650 * 86400, "0s to 3650d")


def _show_seconds(value: float) -> str:
    unit = next(u for u in ("d", "h", "m", "s") if value % _UNITS_TIME[u] == 0 or u == "s")
    return f"{value / _UNITS_TIME[unit]:.3f}".rstrip("0").rstrip(".") + unit if value else "0s"


def _bytes(text: str) -> int:
    number, unit = _amount(text)
    return int(_limited(number * _UNITS_SIZE[unit], 1, 2**50, "1 B to 1024 TiB"))


def _show_bytes(value: int) -> str:
    unit = next((u for u in ("TiB", "GiB", "MiB", "KiB") if value % _UNITS_SIZE[u] == 0), "B")
    return f"{value // _UNITS_SIZE[unit]} {unit}"


def _rate(text: str) -> int:
    number, unit = _amount(text.removesuffix("/s"))
    return int(_limited(number * _UNITS_SIZE[unit], 1000, 10**12, "1 KB/s to 1 TB/s"))


def _show_rate(value: int) -> str:
    unit = next((u for u in ("TB", "GB", "MB", "KB") if value % _UNITS_SIZE[u] == 0), "")
    return f"{value // _UNITS_SIZE[unit]} {unit}/s" if unit else f"{_show_bytes(value)}/s"


def _watts(text: str) -> int:
    return int(_limited(_amount(text)[0], 1, 10000, "1 W to 10000 W"))


def _tokens(text: str) -> int:
    number, unit = _amount(text)
    scale = {"": 1, "k": 2**10, "m": 2**20}[unit.lower()]
    return int(_limited(number * scale, 256, 2**24, "256 to 16M"))


def _show_tokens(value: int) -> str:
    return f"{value // 1024}k" if value % 1024 == 0 else str(value)


def _range(text: str) -> Range:
    low, _, high = text.partition("-")
    value = Range(int(low), int(high or low))
    if value.low > value.high:
        raise FormError("a range that ends below its start")
    _limited(value.high, 0, 1000, "0 to 1000")
    return value


def _address(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") else text
    if ":" in bare or re.fullmatch(r"[0-9.]+", bare):
        import ipaddress

        try:
            ipaddress.ip_address(bare.rstrip("."))
        except ValueError:
            raise FormError("no valid IP address") from None
    return bare


def _jump(text: str) -> str:
    for hop in text.split(","):
        _port(hop.rpartition(":")[2] if re.search(r":[0-9]+$", hop) and not hop.endswith("]") else "1")
    return text


def _port(text: str) -> int:
    return int(_limited(int(text), 1, 65535, "ports 1 to 65535"))


def _sha256(text: str) -> str:
    return text.removeprefix("sha256:").lower()


def _image(text: str) -> str:
    if "@" not in text and ":" not in text.rpartition("/")[2]:
        raise FormError("no tag")
    return text


def _kms_key(text: str) -> str:
    try:
        return kmskeys.plain(text)
    except ValueError as error:
        raise FormError(str(error)) from error


_FREE = r"[^\0]*[^\s][^\0]*"

FORMS: dict[str, Spec] = {
    "name": Spec(
        expected="a name: a-z, 0-9 and -, a letter first", pattern=r"[a-z](?:[a-z0-9-]*[a-z0-9])?", longest=32
    ),
    "host-name": Spec(
        expected="a host's name: a-z, 0-9 and -",
        pattern=r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?",
        number=True,
        longest=63,
    ),
    "model-name": Spec(
        expected="a model's name: letters, digits and . _ - :",
        pattern=r"[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?",
        longest=96,
    ),
    "address": Spec(
        expected="an address: a DNS name, an IP address, a name of ~/.ssh/config, or local",
        pattern=rf"(?:{_DNS}|{_IPV6}|\[{_IPV6}\])",
        parse=_address,
    ),
    "user": Spec(expected="a login name", pattern=_USER, longest=64),
    "jump": Spec(
        expected="[USER@]ADDRESS[:PORT], several with commas",
        pattern=rf"{_HOP}(?:,{_HOP})*",
        parse=_jump,
        longest=1024,
    ),
    "host-key": Spec(
        expected="a public host key: its type and the base64 text, such as ssh-ed25519 AAAA...",
        pattern=r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{16,}={0,2}(?: [^\0\n]*)?",
        longest=4096,
    ),
    "duration": Spec(
        expected="a time with its unit, such as 90s, 20m, 12h or 3d",
        pattern=r"[0-9]{1,9}(?:\.[0-9]{1,3})?[smhdw]",
        parse=_seconds,
        show=_show_seconds,
    ),
    "size": Spec(
        expected="a size with its unit, such as 200 GiB",
        pattern=r"[0-9]{1,15}(?:\.[0-9]{1,3})? ?(?:B|[KMGT]i?B)",
        parse=_bytes,
        show=_show_bytes,
    ),
    "rate": Spec(
        expected="bytes a second, such as 40 MB/s",
        pattern=r"[0-9]{1,12}(?:\.[0-9]{1,3})? ?(?:B|[KMGT]i?B)/s",
        parse=_rate,
        show=_show_rate,
    ),
    "base": Spec(
        expected="an address such as https://mirror.office.example/path",
        pattern=r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:/(?:[A-Za-z0-9._~-]|\{registry\})+)*/?",
        parse=lambda text: text.rstrip("/"),
        longest=1024,
    ),
    "watts": Spec(
        expected="watts, such as 280 W",
        pattern=r"[0-9]{1,6} ?W",
        parse=_watts,
        show=lambda value: f"{value} W",
    ),
    "tokens": Spec(
        expected="a number of tokens, such as 8192 or 16k",
        pattern=r"[0-9]{1,9}(?:[kKmM])?",
        parse=_tokens,
        show=_show_tokens,
        number=True,
    ),
    "range": Spec(
        expected="a number or a range, such as 2 or 0-2",
        pattern=r"[0-9]{1,4}(?:-[0-9]{1,4})?",
        parse=_range,
        number=True,
    ),
    "text": Spec(expected="text", pattern=_FREE, number=True, longest=65536),
    "path": Spec(
        expected="a path: relative to this file, absolute, or from ~",
        pattern=r"[^\0\n\s-][^\0\n]*",
        longest=4096,
    ),
    "source": Spec(
        expected="hf:ORG/REPO[:QUANT][@REVISION], an https address, /PATH on the hosts, or ./PATH on this machine",
        pattern=(
            r"(?:hf:[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*(?::[A-Za-z0-9_.-]+)?(?:@[A-Za-z0-9_.][A-Za-z0-9_./-]*)?"
            r"|https://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?/[^\s\0@]+|(?:\.{0,2}|~)/[^\0\n]+)"
        ),
        longest=2048,
    ),
    "image": Spec(
        expected="a container image with a tag or a digest, such as ghcr.io/ggml-org/llama.cpp:server-cuda",
        pattern=(
            r"(?:[a-zA-Z0-9][a-zA-Z0-9.-]*(?::[0-9]{1,5})?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
            r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
        ),
        parse=_image,
        longest=512,
    ),
    "sha256": Spec(
        expected="a SHA-256: 64 hexadecimal digits",
        pattern=r"(?:sha256:)?[0-9A-Fa-f]{64}",
        parse=_sha256,
        longest=71,
        number=True,
    ),
    "secret-name": Spec(
        expected="the name of a secret, such as HF_TOKEN: A-Z, 0-9 and _",
        pattern=r"[A-Z][A-Z0-9_]*",
        longest=64,
        hidden=True,
    ),
    "variable": Spec(
        expected="the name of an environment variable",
        pattern=r"[A-Za-z_][A-Za-z0-9_]*",
        longest=128,
        hidden=True,
    ),
    "price": Spec(
        expected="an amount and its currency, such as 300 USD or 0.32 EUR/kWh",
        pattern=r"[0-9]{1,9}(?:\.[0-9]{1,4})? [A-Z]{3}(?:/(?:kWh|h))?",
    ),
    "kms-key": Spec(
        expected="a key of AWS KMS: alias/NAME, its id or its ARN; alias/NAME?region=REGION where it is in another region",
        pattern=kmskeys.PATTERN,
        parse=_kms_key,
        longest=2048,
    ),
    "window": Spec(
        expected='days, times and a time zone, such as "Sun 03:00-05:00 Europe/Berlin"',
        pattern=rf"(?:{_DAY}(?:[-,]{_DAY})* )?{_CLOCK}-{_CLOCK}(?: [A-Za-z_]+(?:/[A-Za-z0-9_+-]+)*)?",
    ),
    "word": Spec(
        expected="one word", pattern=r"[A-Za-z0-9_.:/][A-Za-z0-9_.:/@+=?&%#~,-]*", number=True, longest=1024
    ),
    "argument": Spec(expected="one word of a command line", pattern=r"[^\0]*", number=True, longest=8192),
}
