"""The native provider `hostler:index:OwnedHost`: servers that nobody makes by an API.

Served in the product's own process (PULUMI_DEBUG_PROVIDERS=hostler:PORT), or as the plugin executable
infra/plugin/pulumi-resource-hostler for a `pulumi preview` by hand. Not pulumi.provider.experimental, which
drops the old inputs.
"""

# ruff: noqa: ARG002 - gRPC hands every method both arguments, by name in its own types
from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc as services

from hostler import __version__
from hostler.hosts.types import Seen
from hostler.provision import byhand, properties
from hostler.provision.types import SeenOf

PACKAGE = "hostler"
OWNED_HOST = "hostler:index:OwnedHost"
UP, UNREACHABLE = "up", "unreachable"
SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 Pulumi's own mark of a wrapped secret
WORKERS = 16
INPUT_TYPES = {"name": "string", "address": "string", "user": "string", "port": "integer",
               "machineId": "string", "driver": "string"}  # fmt: skip


def plain(value: Any) -> Any:
    """A protobuf Struct or Value as Python; whole numbers become int, secrets are unwrapped."""
    if isinstance(value, struct_pb2.Struct):
        fields = {key: plain(item) for key, item in value.fields.items()}
        return fields.get("value") if SECRET in fields else fields
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain(value.struct_value)
    if kind == "list_value":
        return [plain(item) for item in value.list_value.values]
    if kind == "number_value":
        return int(value.number_value) if value.number_value.is_integer() else value.number_value
    return None if kind in (None, "null_value") else getattr(value, kind)


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update({key: value for key, value in values.items() if value is not None})
    return made


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and not key.startswith("__")}


class Provider(services.ResourceProviderServicer):
    """Accepts, compares and re-reads owned hosts; makes and removes nothing. Without `seen` it probes itself."""

    def __init__(self, seen: SeenOf | None) -> None:
        self._seen = seen

    def Handshake(self, request: Any, context: Any) -> Any:
        return pb.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=__version__)

    def GetSchema(self, request: Any, context: Any) -> Any:
        return pb.GetSchemaResponse(schema=json.dumps(schema()))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return pb.DiffResponse(changes=pb.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        return pb.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Check(self, request: Any, context: Any) -> Any:
        inputs = properties.completed(present(plain(request.olds)), present(plain(request.news)))
        faults = properties.check(inputs)
        failures = [pb.CheckFailure(property=key, reason=reason) for key, reason in faults.items()]
        return pb.CheckResponse(inputs=struct(inputs), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        old, new = present(plain(request.old_inputs)), present(plain(request.news))
        found = properties.drift(old, plain(request.olds), new)
        kept = {path: kind for path, kind in found.items() if top(path) not in request.ignoreChanges}
        return pb.DiffResponse(
            changes=pb.DiffResponse.DIFF_SOME if kept else pb.DiffResponse.DIFF_NONE,
            detailedDiff={path: property_diff(kind) for path, kind in kept.items()},
            hasDetailedDiff=True,
            replaces=[path for path, kind in kept.items() if kind == "replace"],
            deleteBeforeReplace=True,
            diffs=list(dict.fromkeys(top(path) for path in kept)),
        )

    def Create(self, request: Any, context: Any) -> Any:
        inputs = plain(request.properties)
        if request.preview:
            return pb.CreateResponse(properties=struct({**inputs, "status": properties.UNKNOWN}))
        return pb.CreateResponse(id=inputs["name"], properties=struct(accepted(inputs)))

    def Update(self, request: Any, context: Any) -> Any:
        return pb.UpdateResponse(properties=struct(accepted(plain(request.news))))

    def Read(self, request: Any, context: Any) -> Any:
        """What is seen goes to the outputs alone; a host that does not answer is never gone."""
        inputs, outputs = plain(request.inputs), plain(request.properties)
        seen = properties.facts_of(self._look(inputs))
        if seen:
            outputs = {**properties.outputs_of(seen, UP), **inputs}
        return pb.ReadResponse(
            id=request.id,
            properties=struct({**outputs, "status": UP if seen else UNREACHABLE}),
            inputs=struct(inputs),
        )

    def _look(self, inputs: Mapping[str, Any]) -> Seen:
        return self._seen(inputs["name"]) if self._seen else byhand.look(inputs)

    def Delete(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


def accepted(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return properties.outputs_of(inputs, UP if "machineId" in inputs else UNREACHABLE)


def top(path: str) -> str:
    return path.replace("[", ".").split(".")[0]


def property_diff(kind: str) -> Any:
    name = "UPDATE_REPLACE" if kind == "replace" else kind.upper()
    return pb.PropertyDiff(kind=getattr(pb.PropertyDiff, name), inputDiff=True)


def schema() -> dict[str, Any]:
    """The package's schema, for `pulumi import` and programs in other languages."""
    fields: dict[str, Any] = {name: {"type": kind} for name, kind in INPUT_TYPES.items()}
    card = {"type": "object", "additionalProperties": {"$ref": "pulumi.json#/Any"}}
    fields["cards"] = {"type": "array", "items": card}
    outputs = {**fields, "status": {"type": "string"}, "seenCards": fields["cards"],
               "seenDriver": fields["driver"], "seenMachineId": fields["machineId"]}  # fmt: skip
    resource = {"inputProperties": fields, "requiredInputs": ["name", "address"], "properties": outputs}
    return {"name": PACKAGE, "version": __version__, "resources": {OWNED_HOST: resource}}


def start(seen: SeenOf | None) -> tuple[grpc.Server, int]:
    """A running server on loopback, and its port."""
    server = grpc.server(ThreadPoolExecutor(WORKERS))
    services.add_ResourceProviderServicer_to_server(Provider(seen), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


@contextmanager
def served(seen: SeenOf | None) -> Generator[int]:
    """The provider in this process, for as long as one command of the CLI runs; yields its port."""
    server, port = start(seen)
    try:
        yield port
    finally:
        server.stop(grace=None)


def main(write: Callable[[str], object] = sys.stdout.write) -> None:
    """The plugin executable's whole work: say the port, serve until the CLI ends us."""
    server, port = start(None)
    write(f"{port}\n")
    sys.stdout.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the CLI's way to end its plugins: no stack trace
    server.wait_for_termination()


if __name__ == "__main__":
    main()
