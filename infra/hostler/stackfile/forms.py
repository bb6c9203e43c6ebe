"""How each form of scalar is written: its pattern (also the schema's), its parser, and the way back.

A pattern is an ASCII regular expression that the whole text must match; ECMA-262 reads it alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import kmskeys, units
from .units import FormError

CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_DNS = rf"{_LABEL}(?:\.{_LABEL})*\.?"
_IPV6 = r"[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f.]*(?:%[A-Za-z0-9]+)?"
_USER = r"[A-Za-z_][A-Za-z0-9._-]*"
_HOP = rf"(?:{_USER}@)?(?:{_DNS}|\[{_IPV6}\])(?::[0-9]{{1,5}})?"
HOST = rf"(?:{_USER}@)?(?:{_DNS}|{_IPV6}|\[{_IPV6}\])(?::[0-9]{{1,5}})?"  # the short form of a host
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = r"(?:[01][0-9]|2[0-3])(?::[0-5][0-9])?"


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
        parse=units.address,
    ),
    "user": Spec(expected="a login name", pattern=_USER, longest=64),
    "jump": Spec(
        expected="[USER@]ADDRESS[:PORT], several with commas",
        pattern=rf"{_HOP}(?:,{_HOP})*",
        parse=units.jump,
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
        parse=units.seconds,
        show=units.show_seconds,
    ),
    "size": Spec(
        expected="a size with its unit, such as 200 GiB",
        pattern=r"[0-9]{1,15}(?:\.[0-9]{1,3})? ?(?:B|[KMGT]i?B)",
        parse=units.size,
        show=units.show_size,
    ),
    "rate": Spec(
        expected="bytes a second, such as 40 MB/s",
        pattern=r"[0-9]{1,12}(?:\.[0-9]{1,3})? ?(?:B|[KMGT]i?B)/s",
        parse=units.rate,
        show=units.show_rate,
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
        parse=units.watts,
        show=lambda value: f"{value} W",
    ),
    "tokens": Spec(
        expected="a number of tokens, such as 8192 or 16k",
        pattern=r"[0-9]{1,9}(?:[kKmM])?",
        parse=units.tokens,
        show=units.show_tokens,
        number=True,
    ),
    "range": Spec(
        expected="a number or a range, such as 2 or 0-2",
        pattern=r"[0-9]{1,4}(?:-[0-9]{1,4})?",
        parse=units.low_high,
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
        parse=units.image,
        longest=512,
    ),
    "sha256": Spec(
        expected="a SHA-256: 64 hexadecimal digits",
        pattern=r"(?:sha256:)?[0-9A-Fa-f]{64}",
        parse=units.sha256,
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
    "currency": Spec(expected="a currency: three capital letters, such as EUR", pattern=r"[A-Z]{3}"),
    "mac": Spec(
        expected="a MAC address, such as 3c:ec:ef:12:34:56",
        pattern=r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}",
        parse=lambda text: text.lower().replace("-", ":"),
        number=True,
    ),
    "kms-key": Spec(
        expected="a key of AWS KMS: alias/NAME, its id or its ARN; alias/NAME?region=REGION where it is in another region",
        pattern=kmskeys.PATTERN,
        parse=units.kms_key,
        longest=2048,
    ),
    "window": Spec(
        expected='days, times and a time zone, such as "Sun 03:00-05:00 Europe/Berlin" or "Mon-Fri 08-18"',
        pattern=(
            rf"(?:{_DAY}(?:[-,]{_DAY})* )?{_CLOCK}-(?:{_CLOCK}|24(?::00)?)(?: [A-Za-z_]+(?:/[A-Za-z0-9_+-]+)*)?"
        ),
        parse=units.window,
    ),
    "word": Spec(
        expected="one word", pattern=r"[A-Za-z0-9_.:/][A-Za-z0-9_.:/@+=?&%#~,-]*", number=True, longest=1024
    ),
    "argument": Spec(expected="one word of a command line", pattern=r"[^\0]*", number=True, longest=8192),
}
