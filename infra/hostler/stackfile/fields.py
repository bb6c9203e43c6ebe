"""How a field of the stack file is described: the forms of scalars, and `entry`.

Values are in base units: bytes, seconds, watts, tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any


@dataclass(frozen=True, slots=True)
class Form:
    """How a scalar is written in YAML; stackfile.forms has the parser of each."""

    name: str


Name = Annotated[str, Form("name")]  # [a-z][a-z0-9-]{0,31}
HostName = Annotated[str, Form("host-name")]  # as a name, longer, and may begin with a digit: 10-0-0-5
ModelName = Annotated[str, Form("model-name")]  # what a client asks for; letters, digits, . _ - :
Address = Annotated[str, Form("address")]  # DNS name, IP, a name of ~/.ssh/config, or `local`
Seconds = Annotated[float, Form("duration")]  # 20m, 12h, 3d
Bytes = Annotated[int, Form("size")]  # 200 GiB
Rate = Annotated[int, Form("rate")]  # 40 MB/s: bytes a second
Watts = Annotated[int, Form("watts")]  # 280 W
Tokens = Annotated[int, Form("tokens")]  # 8192, 16k
Text = Annotated[str, Form("text")]
Path = Annotated[str, Form("path")]  # relative to the stack file; ~ is the user's home
Base = Annotated[str, Form("base")]  # https://registry.office.example/prefix, without a slash at its end
Source = Annotated[str, Form("source")]  # hf:ORG/REPO[:QUANT][@REV] | https://... | /path | ./path | ~/path
Image = Annotated[str, Form("image")]  # registry/name[:tag][@sha256:...]
Sha256 = Annotated[str, Form("sha256")]
SecretName = Annotated[str, Form("secret-name")]  # HF_TOKEN
Price = Annotated[str, Form("price")]  # 0.32 EUR/kWh, 300 USD
Currency = Annotated[str, Form("currency")]  # EUR
Mac = Annotated[str, Form("mac")]  # 3c:ec:ef:12:34:56
KmsKey = Annotated[str, Form("kms-key")]  # alias/NAME[?region=REGION], an id, an ARN
Window = Annotated[str, Form("window")]  # "Sun 03:00-05:00 Europe/Berlin"; its value has minutes always
Word = Annotated[str, Form("word")]  # one word without spaces, passed on as it is
User = Annotated[str, Form("user")]  # a login
Jump = Annotated[str, Form("jump")]  # [user@]address[:port], several with commas
HostKey = Annotated[str, Form("host-key")]  # ssh-ed25519 AAAA...
Variable = Annotated[str, Form("variable")]  # an environment variable
Argument = Annotated[str, Form("argument")]  # one word of an engine's command line


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """`3` or `0-2`: how many at least (what is started) and at most."""

    low: int
    high: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


def entry(
    help: str,
    default: Any = ...,
    *,
    example: str = "",
    name: str = "",
    built: bool = True,
    unbuilt: tuple[str, ...] = (),
    filled: bool = False,
    least: int | None = None,
    most: int | None = None,
) -> Any:
    """A field of a section. `name` where the YAML key is a Python keyword; `built=False`: parsed,
    then refused by name because the work behind it is not built yet, as are the words in `unbuilt`.
    `default=...`: required, or with `filled` found out by the loader; a callable default is a factory."""
    meta = {
        "help": help,
        "example": example,
        "name": name,
        "built": built,
        "unbuilt": unbuilt,
        "filled": filled,
        "least": least,
        "most": most,
    }
    if default is ...:
        return field(metadata=meta)
    if callable(default):
        return field(default_factory=default, metadata=meta)
    return field(default=default, metadata=meta)
