"""The API as a WSGI application around moto: counts calls, brings faults, and keeps RunInstances to its client token."""

import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from .answers import OWN
from .faults import Fault, Faults
from .wire import Answer, Call, Environ, path_style, read_call

type StartResponse = Callable[..., Any]


class Api:
    """moto launches again when an SDK repeats a call with the same client token; here, as in life, it does not."""

    def __init__(self, faults: Faults, own_address: Callable[[str], str]) -> None:
        self.faults = faults
        self.moto = DomainDispatcherApplication(create_backend_app)  # pyright: ignore[reportArgumentType]
        self.own_address = own_address
        self.launching = threading.Lock()
        self.launched: dict[str, tuple[bytes, Answer]] = {}

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        if str(environ.get("HTTP_HOST", "")).startswith("checkip."):
            return self._answer(self._who_asks(environ), start)
        path_style(environ)
        call = read_call(environ)
        fault = self.faults.take(call)
        time.sleep(fault.delay)
        answer = self._effect(environ, call, fault)
        if fault.lost:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError("an answer that the lab loses")  # werkzeug: the client went away
        return self._answer(answer, start)

    def _effect(self, environ: Environ, call: Call, fault: Fault) -> Answer:
        if fault.code:
            return call.error(fault.code, fault.message, fault.status)
        if call.service in OWN:
            return OWN[call.service](call, self.faults)
        if call.action == "RunInstances":
            return self._launch(environ, call)
        return self._ask_moto(environ)

    def _ask_moto(self, environ: Environ) -> Answer:
        got: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], None]:
            got.append((status, headers))
            return lambda _: None

        body = b"".join(self.moto(environ, start))
        return Answer(*got[-1], body)

    def _launch(self, environ: Environ, call: Call) -> Answer:
        token = call.form.get("ClientToken", "")
        with self.launching:
            if token in self.launched:
                before, answer = self.launched[token]
                if before == call.body:
                    return answer
                return call.error(
                    "IdempotentParameterMismatch", "Arguments on this idempotent request differ."
                )
            answer = self._ask_moto(environ)
            if token and answer.status.startswith("200"):
                self.launched[token] = (call.body, answer)
            return answer

    def _who_asks(self, environ: Environ) -> Answer:
        """https://checkip.amazonaws.com: the address that hosts of the lab see this client come from."""
        seen = self.own_address(str(environ["REMOTE_ADDR"]))
        return Answer("200 OK", [("Content-Type", "text/plain")], f"{seen}\n".encode())

    @staticmethod
    def _answer(answer: Answer, start: StartResponse) -> Iterable[bytes]:
        named = {key.lower() for key, _ in answer.headers}
        more = [] if "content-length" in named else [("Content-Length", str(len(answer.body)))]
        start(answer.status, [*answer.headers, *more])
        return [answer.body]
