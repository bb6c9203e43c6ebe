"""The cloud's process: the API under AWS's names, the metadata service and the test's control, on the lab's bridge."""

import json
import signal
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler  # pyright: ignore[reportAttributeAccessIssue]
from werkzeug.serving import BaseWSGIServer, make_server

from ..network import enter_cloud
from .api import Api
from .control import Control
from .faults import Faults
from .imds import metadata_service
from .machines import Machines
from .names import certificate
from .patches import put_in_place, write_parameters
from .releases import Releases
from .wire import Environ

CONTROL = 8080
type Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Quiet(MotoRequestHandler):
    """Logs nothing: a test that fails asks for the calls."""

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


def serve(address: str, port: int, application: Application, folder: Path | None = None) -> None:
    """Answers in a thread; with TLS where `folder` has server.crt and server.key."""
    server: BaseWSGIServer = make_server(address, port, application, threaded=True, request_handler=Quiet)  # pyright: ignore[reportArgumentType]
    if folder:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        # not in the accepting thread: who connects and says nothing would hold all others up
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.ssl_context = context
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main(directory: Path) -> None:
    about: dict[str, Any] = json.loads((directory / "lab.json").read_text())
    number = int(about["number"])
    address = enter_cloud(number)
    faults, machines = Faults(), Machines(directory, number)
    put_in_place(machines, faults, f"10.78.{number}.0/24")
    write_parameters()
    api = Api(faults, lambda client: about["gateway"] if client == address else client)
    serve(address, 443, Releases(api), certificate())
    serve(address, 80, metadata_service(machines))
    serve(address, CONTROL, Control(machines, faults, Api(Faults(), str)))
    (directory / "cloud/up").touch()
    signal.sigwait({signal.SIGTERM})
    machines.end()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main(Path(sys.argv[1]))
