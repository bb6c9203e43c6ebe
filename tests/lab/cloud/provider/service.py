"""Pulumi's provider protocol. The plain gRPC servicer: pulumi.provider.experimental drops the old inputs of a Diff,
crashes in DiffConfig and cannot report a half-made resource."""

# ruff: noqa: ARG002 - gRPC hands every method both arguments
import json
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import any_pb2, empty_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc as services

from .changes import changes
from .functions import FUNCTIONS, invoke
from .schema import MISSING, faults, read_schema
from .settings import Settings, text_of
from .table import TYPES
from .types import Call, Cancelled, Partial, Type
from .values import UNKNOWN, Values, flatten, plain, struct, top

GONE = ("NotFound", "NoSuchEntity", "Malformed")
VERSION = version("pulumi_aws")
EXPECTED = (ClientError, BotoCoreError, Cancelled, TimeoutError, ValueError, KeyError)


def _is_gone(error: ClientError) -> bool:
    return any(word in error.response["Error"].get("Code", "") for word in GONE)


class Provider(services.ResourceProviderServicer):
    """`schema`: the file that schema.write_schema has made."""

    def __init__(self, schema: Path) -> None:
        self.settings = Settings()
        self.schema = read_schema(schema)

    # -- life

    def Handshake(self, request: Any, context: Any) -> Any:
        return pb.ProviderHandshakeResponse(
            accept_secrets=False, accept_resources=False, accept_outputs=False
        )

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:
        return pb.GetSchemaResponse(schema=json.dumps({"name": "aws", "version": VERSION}))

    def Cancel(self, request: Any, context: Any) -> Any:
        """Comes at Ctrl-C and at every normal end; waits in flight give up."""
        self.settings.cancelled.set()
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: Any) -> Any:
        why = self.settings.configure(plain(request.news))
        return pb.CheckResponse(inputs=request.news, failures=[pb.CheckFailure(reason=why)] if why else [])

    def DiffConfig(self, request: Any, context: Any) -> Any:
        old, new = flatten(plain(request.olds)), flatten(plain(request.news))
        found = [key for key in {**old, **new} if old.get(key) != new.get(key) and top(key) != "version"]
        some = pb.DiffResponse.DIFF_SOME if found else pb.DiffResponse.DIFF_NONE
        return pb.DiffResponse(
            changes=some, diffs=found, replaces=[k for k in found if k in ("profile", "accessKey")]
        )

    def Configure(self, request: Any, context: Any) -> Any:
        self.settings.cancelled.clear()
        why = self.settings.configure(plain(request.args))
        if why:
            context.abort(grpc.StatusCode.UNKNOWN, why)
        return pb.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    # -- resources

    def Check(self, request: Any, context: Any) -> Any:
        kind, token, name = self._type(request.urn, context)
        old, new = plain(request.olds), plain(request.news)
        bad = {key: MISSING.format(key) for key in kind.required if new.get(key) in (None, "")}
        for path, value in flatten(new).items():
            allowed = kind.enums.get(path.split("[")[0])
            if allowed and value != UNKNOWN and value not in allowed:
                bad[path] = f"expected {path} to be one of {json.dumps(allowed)}, got {value}"
        bad |= faults(self.schema[token], new) or (kind.check(new) if kind.check else {})
        if kind.name and not new.get(kind.name):
            new[kind.name] = _auto_name(kind, name, old, new, request.randomSeed)
        failures = [pb.CheckFailure(property=key, reason=why) for key, why in bad.items()]
        return pb.CheckResponse(inputs=struct(new), failures=failures)

    def _changes(self, kind: Type, request: Any) -> list[tuple[str, str]]:
        old, new, state = (plain(one) for one in (request.old_inputs, request.news, request.olds))
        return changes(kind, old, new, state, self.settings.default_tags, list(request.ignoreChanges))

    def Diff(self, request: Any, context: Any) -> Any:
        kind, _, _ = self._type(request.urn, context)
        found = self._changes(kind, request)
        detail = {
            path: pb.PropertyDiff(kind=getattr(pb.PropertyDiff, what), inputDiff=top(path) != "tagsAll")
            for path, what in found
        }
        return pb.DiffResponse(
            changes=pb.DiffResponse.DIFF_SOME if found else pb.DiffResponse.DIFF_NONE,
            replaces=[path for path, what in found if what.endswith("REPLACE")],
            diffs=list(dict.fromkeys(top(path) for path, _ in found)),
            detailedDiff=detail,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:
        kind, _, name = self._type(request.urn, context)
        inputs = plain(request.properties)
        call = Call(self.settings, name, inputs)
        if request.preview:
            outputs = {**dict.fromkeys(kind.computed, UNKNOWN), **inputs}
            more = {"tagsAll": call.tags} if "tagsAll" in kind.computed else {}
            return pb.CreateResponse(properties=struct(outputs | more))

        def go() -> Any:
            id = kind.create(call, inputs)
            return pb.CreateResponse(id=id, properties=struct(self._state(kind, call, id, inputs, {})))

        return self._guarded(context, f"creating {kind.label}", go, kind, call, inputs)

    def Update(self, request: Any, context: Any) -> Any:
        kind, _, name = self._type(request.urn, context)
        old, new = plain(request.olds), plain(request.news)
        call = Call(self.settings, name, new)
        if request.preview:
            more = {"tagsAll": call.tags} if "tagsAll" in kind.computed else {}
            return pb.UpdateResponse(properties=struct({**old, **new, **more}))
        found = {top(path) for path, _ in self._changes(kind, request)}
        changed = {"tags" if one == "tagsAll" else one for one in found}

        def go() -> Any:
            if kind.update:
                kind.update(call, request.id, old, new, changed)
            return pb.UpdateResponse(properties=struct(self._state(kind, call, request.id, new, old)))

        return self._guarded(context, f"updating {kind.label} ({request.id})", go, kind, call, new)

    def Read(self, request: Any, context: Any) -> Any:
        kind, _, name = self._type(request.urn, context)
        state, inputs = plain(request.properties), plain(request.inputs)
        call = Call(self.settings, name, inputs or state)

        def go() -> Any:
            live = self._live(kind, call, request.id, state)
            if live is None:
                return pb.ReadResponse()  # an empty id says: gone
            for key in kind.drift:
                if key in inputs or (key == "tags" and live.get(key)):
                    inputs[key] = self._own_tags(live[key], inputs) if key == "tags" else live.get(key)
            return pb.ReadResponse(id=request.id, properties=struct({**state, **live}), inputs=struct(inputs))

        return self._guarded(context, f"reading {kind.label} ({request.id})", go)

    def _own_tags(self, tags: Values, inputs: Values) -> Values:
        """Those that the resource itself has been given, not the provider's."""
        mine, default = inputs.get("tags") or {}, self.settings.default_tags
        return {key: value for key, value in tags.items() if key in mine or default.get(key) != value}

    def Delete(self, request: Any, context: Any) -> Any:
        kind, _, name = self._type(request.urn, context)
        state = plain(request.properties)

        def go() -> Any:
            try:
                kind.delete(Call(self.settings, name, state), request.id, state)
            except ClientError as error:
                if not _is_gone(error):
                    raise
            return empty_pb2.Empty()

        return self._guarded(context, f"deleting {kind.label} ({request.id})", go)

    def Invoke(self, request: Any, context: Any) -> Any:
        words = plain(request.args)
        if request.tok not in FUNCTIONS:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in has no function {request.tok}")
        call = Call(self.settings, "", words)
        answer = self._guarded(context, f"invoking {request.tok}", lambda: invoke(request.tok, call, words))
        named: Any = {"return": struct(answer)}  # a word of Python's
        return pb.InvokeResponse(**named)

    # -- what they share

    def _type(self, urn: str, context: Any) -> tuple[Type, str, str]:
        """The type, its token and the resource's name."""
        token, name = urn.split("::")[2].split("$")[-1], urn.split("::", 3)[3]
        if token not in TYPES:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in has no resource type {token}")
        return TYPES[token], token, name

    def _live(self, kind: Type, call: Call, id: str, state: Values) -> Values | None:
        try:
            found = kind.read(call, id, state)
        except ClientError as error:
            if _is_gone(error):
                return None
            raise
        if found is None:
            return None
        found["region"] = call.region  # as an import must know it
        if "tagsAll" in found:
            default = self.settings.default_tags
            found["tags"] = {
                key: value for key, value in found["tagsAll"].items() if default.get(key) != value
            }
        return found

    def _state(self, kind: Type, call: Call, id: str, inputs: Values, old: Values) -> Values:
        found = self._live(kind, call, id, {**old, **inputs})
        if found is None:
            raise Partial(id, f"{kind.label} ({id}) vanished while it was made")
        return {**inputs, **found, **({"tags": inputs["tags"]} if "tags" in inputs else {})}

    def _guarded(
        self,
        context: Any,
        doing: str,
        go: Callable[[], Any],
        kind: Type | None = None,
        call: Call | None = None,
        inputs: Values | None = None,
    ) -> Any:
        """Errors as the real (bridged) provider answers them; what is half made goes to the engine with its id."""
        try:
            return go()
        except Partial as error:
            live = self._live(kind, call, error.id, inputs or {}) if kind and call else {}
            detail, state = any_pb2.Any(), struct({**(inputs or {}), **(live or {})})
            why = f"{doing}: {error}"
            half = pb.ErrorResourceInitFailed(
                id=error.id, properties=state, inputs=struct(inputs or {}), reasons=[why]
            )
            detail.Pack(half)
            status = status_pb2.Status(code=2, message=why, details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, why)
        except EXPECTED as error:
            context.abort(grpc.StatusCode.UNKNOWN, f"1 error occurred:\n\t* {doing}: {text_of(error)}\n\n")


def _auto_name(kind: Type, name: str, old: Values, new: Values, seed: bytes) -> str:
    """The resource's name with seven letters behind it; the one that it has stays."""
    prefix, before = new.get(f"{kind.name}Prefix"), old.get(kind.name)
    if before and str(before).startswith(prefix or ""):
        return before
    return (prefix or f"{name}-") + (seed.hex() or os.urandom(8).hex())[:7]
