"""What a test asks of the cloud's process: POST /_lab/VERB with JSON, at an address that only the lab knows."""

import json
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.moto_api._internal.models import moto_api_backend

from .api import Api
from .faults import Fault, Faults
from .machines import Machines
from .patches import write_parameters
from .rights import Permit, tags_in_moto
from .wire import Environ

SPOT_END = "Server.SpotInstanceTermination: Spot instance termination"


class Control:
    """The verbs are its methods; all else goes to the API, uncounted and without faults: a test's own calls."""

    def __init__(self, machines: Machines, faults: Faults, api: Api) -> None:
        self.machines, self.faults, self.api = machines, faults, api

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        path = str(environ["PATH_INFO"])
        if not path.startswith("/_lab/"):
            return self.api(environ, start)
        asked = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}")
        try:
            status, answer = "200 OK", getattr(self, f"do_{path[6:]}")(**asked)
        except (AttributeError, KeyError, TypeError) as error:
            status, answer = "400 Bad Request", repr(error)
        body = json.dumps(answer).encode()
        start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def do_fault(self, **fault: Any) -> str:
        made = Fault(**fault)
        self.faults.wanted.append(made)
        return made.id

    def do_capacity(self, **rule: str) -> None:
        self.faults.capacity.append(rule)

    def do_price(self, **rule: Any) -> None:
        self.faults.prices.append(rule)

    def do_quota(self, code: str, value: float) -> None:
        self.faults.quotas[code] = value

    def do_birth(self, how: str, times: int) -> None:
        self.faults.births.append({"how": how, "times": times})

    def do_interrupt(self, instance: str, seconds: float) -> None:
        machine = self.machines.known[instance]
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        machine.notice = {"action": "terminate", "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        threading.Timer(seconds, machine.end, ("terminate", SPOT_END)).start()

    def do_stuck(self, instance: str, on: bool) -> None:
        self.machines.known[instance].stuck = on

    def do_permit(self, key: str, policy: dict[str, Any]) -> None:
        self.faults.permits[key] = Permit(policy, tags_in_moto)

    def do_clear(self) -> None:
        """No faults, no stuck instances; what is in the account stays."""
        self.faults.clear()
        for machine in self.machines.known.values():
            machine.stuck = False

    def do_state(self) -> dict[str, Any]:
        known = self.machines.known
        return {
            "calls": dict(self.faults.calls),
            "called": {key: sorted(found) for key, found in self.faults.called.items()},
            "refused": self.faults.refused,
            "instances": {i: str(m.host.directory) for i, m in known.items()},
        }

    def do_empty(self) -> None:
        self.do_clear()
        self.machines.end()
        self.api.launched.clear()
        moto_api_backend.reset()
        write_parameters()
        self.faults.forget()
