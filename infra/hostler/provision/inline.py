"""The program and the provider for a CLI that the user drives: `hostler pulumi -- preview`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from pulumi.automation._server import LanguageServer  # the SDK has no public name for it
from pulumi.runtime.proto import language_pb2_grpc

from hostler.hosts.types import Host
from hostler.provision.launch import Launches
from hostler.provision.program import program
from hostler.provision.provider import served
from hostler.provision.types import SeenOf


@contextmanager
def attached(
    hosts: Sequence[Host], seen: SeenOf, uid: str = "", launches: Launches | None = None
) -> Generator[tuple[dict[str, str], list[str]]]:
    """(environment, flags) that tie a command of the CLI to this process."""
    server = grpc.server(ThreadPoolExecutor(4))
    runtime = LanguageServer(program(hosts, seen, uid, launches))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(runtime, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with served(seen) as provider:
            yield {"PULUMI_DEBUG_PROVIDERS": f"hostler:{provider}"}, [f"--client=127.0.0.1:{port}"]
    finally:
        server.stop(grace=None)
