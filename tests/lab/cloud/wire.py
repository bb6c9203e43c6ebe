"""What passes over the wire: which call a request is, and errors in the words of each service's protocol."""

import io
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from .rights import COPY, rights

type Environ = dict[str, Any]
type Headers = list[tuple[str, str]]

BODIES = ("application/x-www-form", "application/x-amz-json", "application/json")
STATUS = {
    "InsufficientInstanceCapacity": 500,
    "InternalError": 500,
    "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503,
    "SlowDown": 503,
    "AccessDenied": 403,
    "AuthFailure": 401,
    "ExpiredToken": 403,
    "InvalidClientTokenId": 403,
    "UnauthorizedOperation": 403,
}  # all others are 400
EXPIRED = {"ec2": "RequestExpired", "json": "ExpiredTokenException", "s3": "ExpiredToken", "": "ExpiredToken"}
DENIED = {
    "ec2": "UnauthorizedOperation",
    "json": "AccessDeniedException",
    "s3": "AccessDenied",
    "": "AccessDenied",
}
THROTTLED = {"ec2": "RequestLimitExceeded", "json": "ThrottlingException", "s3": "SlowDown", "": "Throttling"}
MESSAGES = {
    "RequestExpired": "Request has expired.",
    "ExpiredToken": "The security token included in the request is expired",
    "ExpiredTokenException": "The security token included in the request is expired",
    "UnauthorizedOperation": "You are not authorized to perform this operation.",
    "RequestLimitExceeded": "Request limit exceeded.",
    "SlowDown": "Please reduce your request rate.",
    "Throttling": "Rate exceeded",
    "ThrottlingException": "Rate exceeded",
}


@dataclass(frozen=True)
class Answer:
    """Status line, headers and body; as moto gave it, or one of the lab's own."""

    status: str
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Call:
    """One request: S3's actions are METHOD /bucket/key, all others' are names; `form` only in the query protocol."""

    service: str
    action: str
    region: str
    body: bytes
    form: dict[str, str]
    target: str
    key: str = ""  # the access key that signed it
    rights: frozenset[str] = field(default_factory=frozenset[str])  # the actions of IAM that it needs
    copied: str = ""  # the object that S3 copies

    @property
    def protocol(self) -> str:
        """The key of EXPIRED, DENIED and THROTTLED."""
        return "json" if self.target else self.service if self.service in ("ec2", "s3") else ""

    def json(self) -> dict[str, Any]:
        return json.loads(self.body or b"{}")

    def error(self, code: str, message: str = "", status: int = 0) -> Answer:
        """This service's words for it. `code` may be `expired`, `denied` or `throttled`: each service has its own."""
        for word, codes in {"expired": EXPIRED, "denied": DENIED, "throttled": THROTTLED}.items():
            code = codes[self.protocol] if code == word else code
        text = _error(self.protocol, code, message or MESSAGES.get(code, "a fault of the lab"))
        kind = "application/x-amz-json-1.1" if self.target else "text/xml"
        line = f"{status or STATUS.get(code, 400)} from-the-lab"
        return Answer(line, [("Content-Type", kind), ("x-amzn-ErrorType", code)], text.encode())


def _error(protocol: str, code: str, message: str) -> str:
    inner = f"<Code>{code}</Code><Message>{message}</Message>"
    if protocol == "json":
        return json.dumps({"__type": code, "message": message})
    if protocol == "s3":
        return f"<Error>{inner}</Error>"
    if protocol == "ec2":
        return f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>lab</RequestID></Response>"
    return (
        f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>lab</RequestId></ErrorResponse>"
    )


def read_call(environ: Environ) -> Call:
    """What the request asks for; its body can be read again from the environment afterwards."""
    body = b""
    if str(environ.get("CONTENT_TYPE", "")).startswith(BODIES):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    form = dict(parse_qsl(body.decode())) if b"Action=" in body else {}
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split(",")[0].split("/")
    region, service = (scope[2], scope[3]) if len(scope) > 3 else ("", "s3")
    place = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
    action = target.rpartition(".")[2] or form.get("Action") or place
    needs = rights(service, action, form, str(environ.get("QUERY_STRING", "")), environ)
    key, copied = scope[0] if len(scope) > 3 else "", str(environ.get(COPY, ""))
    return Call(service, action, region, body, form, target, key, needs, copied)


def path_style(environ: Environ) -> None:
    """Turns https://BUCKET.s3.REGION.amazonaws.com/KEY into https://s3.REGION.amazonaws.com/BUCKET/KEY."""
    host = str(environ.get("HTTP_HOST", "")).split(":")[0]
    bucket, dot, rest = host.partition(".s3.")
    if not dot:
        return
    environ["HTTP_HOST"] = f"s3.{rest}"
    for name in ("PATH_INFO", "RAW_URI", "REQUEST_URI"):
        if name in environ:
            environ[name] = f"/{bucket}{environ[name]}"
