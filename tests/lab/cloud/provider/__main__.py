"""The plugin's process: prints its port, and serves until the engine ends it or is gone."""

import os
import signal
import sys
import threading
from concurrent import futures
from pathlib import Path

import grpc
from pulumi.runtime.proto import provider_pb2_grpc as services

from .service import Provider

LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def _watch_the_engine() -> None:
    """It holds our standard input open: the end of the file means that it died."""
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(3)


def main(schema: Path) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(64), options=LIMITS)
    services.add_ResourceProviderServicer_to_server(Provider(schema), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_watch_the_engine, daemon=True).start()
    stop.wait()
    server.stop(0)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(Path(os.environ["LAB_AWS_SCHEMA"]))
