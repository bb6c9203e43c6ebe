"""A stand-in for pulumi-language-python, which only the vendor's archive has: runs a Pulumi.yaml program.

The CLI starts it with the engine's address, reads its port from stdout, and asks it to run __main__.py.
The real one runs the program in a process of its own; this one in its own process, by the same SDK code.
"""

# ruff: noqa: ARG002 - gRPC hands every method both arguments
from __future__ import annotations

import os
import runpy
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc


class LanguageHost(LanguageServer):
    def __init__(self, engine: str) -> None:
        super().__init__(lambda: None)
        self._engine = engine

    def Handshake(self, request: Any, context: Any) -> Any:
        return language_pb2.LanguageHandshakeResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Run(self, request: Any, context: Any) -> Any:
        folder = Path(request.info.program_directory or request.pwd)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        self.program = partial(_run, folder / "__main__.py")
        request.args[:] = [self._engine]
        return super().Run(request, context)


def _run(path: Path) -> None:
    runpy.run_path(str(path), run_name="__main__")


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(4))
    host = LanguageHost(sys.argv[-1])
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the CLI's way to end its plugins: no stack trace
    server.wait_for_termination()


if __name__ == "__main__":
    main()
