"""Where Pulumi's plugins are downloaded from: get.pulumi.com and GitHub's API."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from .api import Api
from .wire import Environ

HOSTS = ("get.pulumi.com", "api.github.com")


class Releases:
    """Answers for these hosts, and leaves all others to the API."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", "")).split(":")[0]
        if host not in HOSTS:
            return self.api(environ, start)
        body = json.dumps({"message": "Not Found"}).encode()
        start("404 Not Found", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]
