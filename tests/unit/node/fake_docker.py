"""Docker's Engine API over containers that are dicts."""

import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .servers import FakeEngine, Handler, UnixServer, serving


class FakeDocker:
    """Containers as dicts; a started one runs a FakeEngine as its argv says (or ends at once: `exits`)."""

    def __init__(self, path: Path) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.engines: dict[str, FakeEngine] = {}
        self.images: dict[str, str] = {}
        self.listed_images: list[dict[str, Any]] = []
        self.smi: tuple[int, str] | None = None  # nvidia-smi in containers; None: it lists what was asked for
        self.pids: list[int] = []  # of every container
        self.refused: set[str] = set()  # images that no registry has
        self.says = "manifest unknown"  # of those
        self.together: threading.Barrier | None = None  # pulls go on when so many have begun
        self.volumes: list[str] = []
        self.networks: list[str] = []
        self.changed = threading.Condition()
        self.most_running = 0
        self.calls: list[str] = []
        fake = self

        class Daemon(Handler):
            def answer(self) -> None:
                fake.answer(self)

        path.parent.mkdir(parents=True, exist_ok=True)
        self.server = serving(UnixServer(str(path), Daemon))

    def close(self) -> None:
        self.power_cut()
        self.server.shutdown()
        self.server.server_close()

    def running(self) -> list[dict[str, Any]]:
        return [c for c in self.containers.values() if c["State"]["Running"]]

    def names(self) -> list[str]:
        return sorted(c["Name"] for c in self.containers.values())

    def power_cut(self) -> None:
        for found in self.running():
            self.end(found, 137)

    def answer(self, request: Handler) -> None:
        request.close_connection = True
        place = urlsplit(request.path)
        query = {k: v[0] for k, v in parse_qs(place.query).items()}
        words, body = place.path.strip("/").split("/"), request.body()
        self.calls.append(f"{request.command} {place.path}")
        if words[0] in ("_ping", "version", "info"):
            return request.say(200, {"Version": "26.1"} if words[0] == "version" else {})
        if words in (["images", "json"], ["volumes"], ["networks"]):
            named = [{"Name": name} for name in (*self.networks, "bridge", "host", "none")]
            volumes = {"Volumes": [{"Name": name} for name in self.volumes]}
            return request.say(200, {"images": self.listed_images, "volumes": volumes}.get(words[0], named))
        if words[0] == "images" and request.command == "DELETE":
            return self.remove_image(request, "/".join(words[1:]))
        if words == ["images", "create"]:
            return self.pull(request, f"{query['fromImage']}@{query['tag']}")
        if words[0] == "images" and words[-1] == "tag":
            self.images[f"{query['repo']}:{query['tag']}"] = self.images["/".join(words[1:-1])]
            return request.say(201, {})
        if words[0] == "images":
            return self.image(request, "/".join(words[1:-1]))
        if words[0] == "exec":
            return self.executed(request, words[1], words[2])
        if words == ["containers", "json"]:
            ours = "hostler.id" if "filters" in query else ""
            found = [c for c in self.containers.values() if not ours or ours in c["Config"]["Labels"]]
            return request.say(200, [self.listed(c) for c in found])
        if words == ["containers", "create"]:
            return self.create(request, query["name"], body)
        found = self.find(words[1])
        if found is None:
            return request.say(404, {"message": f"No such container: {words[1]}"})
        return self.act(request, found, words[2] if len(words) > 2 else "", query)

    def image(self, request: Handler, ref: str) -> None:
        if ref in self.images.values():
            return request.say(200, {"Id": ref})
        if ref in self.images:
            return request.say(200, {"Id": self.images[ref], "Size": 1})
        return request.say(404, {"message": "No such image"})

    def pull(self, request: Handler, ref: str) -> None:
        """As Docker does: 200, and what went wrong as a line of the stream."""
        if self.together is not None:
            self.together.wait(10)
        if ref in self.refused:
            return request.say(200, {"error": self.says})
        self.images[ref] = "sha256:" + ref
        self.listed_images.append({"Id": self.images[ref], "RepoDigests": [ref], "RepoTags": []})
        return request.say(200, {"status": "Pull complete", "id": "layer"})

    def remove_image(self, request: Handler, ref: str) -> None:
        """Not while a container is made of it, running or not, as long as it has no other name."""
        if ref not in self.images:
            return request.say(404, {"message": f"No such image: {ref}"})
        users = [c for c in self.containers.values() if c.get("Image") == self.images[ref]]
        if users:
            return request.say(409, {"message": f"conflict: container {users[0]['Id'][:12]} is using it"})
        del self.images[ref]
        self.listed_images = [i for i in self.listed_images if ref not in i["RepoDigests"]]
        return request.say(200, [])

    def find(self, name: str) -> dict[str, Any] | None:
        return next((c for c in self.containers.values() if name in (c["Id"], c["Name"].lstrip("/"))), None)

    def listed(self, found: dict[str, Any]) -> dict[str, Any]:
        return {
            "Id": found["Id"],
            "Names": [found["Name"]],
            "Labels": found["Config"]["Labels"],
            "ImageID": found.get("Image", ""),
            "State": found["State"]["Status"],
        }

    def create(self, request: Handler, name: str, body: dict[str, Any]) -> None:
        if self.find(name):
            return request.say(409, {"message": f"name {name} is in use"})
        if "unmountable" in body["Cmd"]:
            return request.say(400, {"message": "bind source path does not exist: /nowhere"})
        made = {
            "Id": f"{len(self.calls):064x}",
            "Name": "/" + name,
            "Image": self.images[body["Image"]],
            "Config": body,
            "HostConfig": body["HostConfig"],
            "State": {"Running": False, "Status": "created", "ExitCode": 0},
            "Log": [],
        }
        self.containers[made["Id"]] = made
        return request.say(201, {"Id": made["Id"]})

    def create_foreign(self, name: str, image: str = "") -> None:
        """Somebody else's container."""
        state = {"Running": False, "Status": "exited", "ExitCode": 0}
        self.containers[name] = {
            "Id": name,
            "Name": "/" + name,
            "Image": image,
            "Config": {"Labels": {}},
            "State": state,
            "Log": [],
        }

    def act(self, request: Handler, found: dict[str, Any], verb: str, query: dict[str, str]) -> None:
        if request.command == "DELETE":
            self.end(found, 137)
            self.containers.pop(found["Id"], None)
            return request.say(204)
        if verb == "json":
            return request.say(200, found)
        if verb == "start":
            self.start(found)
            return request.say(204)
        if verb == "stop":
            was = found["State"]["Running"]
            self.end(found, 143)
            return request.say(204 if was else 304)
        if verb == "kill":
            self.end(found, 137)
            return request.say(204)
        if verb == "rename":
            found["Name"] = "/" + query["name"]
            return request.say(204)
        if verb == "wait":
            with self.changed:
                self.changed.wait_for(lambda: not found["State"]["Running"], timeout=60)
            return request.say(200, {"StatusCode": found["State"]["ExitCode"]})
        if verb == "exec":
            return request.say(201, {"Id": found["Id"]})
        if verb == "top":
            return request.say(200, {"Titles": ["PID"], "Processes": [[str(pid)] for pid in self.pids]})
        if verb == "logs":
            frames = [b"\2\0\0\0" + len(line).to_bytes(4, "big") + line.encode() for line in found["Log"]]
            return request.say(200, b"".join(frames), "application/octet-stream")
        return request.say(500, {"message": f"the fake does not know {verb}"})

    def executed(self, request: Handler, identity: str, verb: str) -> None:
        """`nvidia-smi -L` in a container; as with Docker, the id of what runs there is asked for its end."""
        status, said = self.smi or (0, self.listing(self.containers[identity]))
        if verb == "json":
            return request.say(200, {"ExitCode": status})
        return request.say(200, said.encode(), "application/octet-stream")

    def listing(self, found: dict[str, Any]) -> str:
        asked = [uuid for one in found["HostConfig"].get("DeviceRequests", ()) for uuid in one["DeviceIDs"]]
        return "".join(f"GPU {i}: NVIDIA A10G (UUID: {uuid})\n" for i, uuid in enumerate(asked))

    def start(self, found: dict[str, Any]) -> None:
        with self.changed:  # a power cut comes before or after, never between its state and its engine
            self.started(found)

    def started(self, found: dict[str, Any]) -> None:
        behaviour, port, context = found["Config"]["Cmd"][:3]
        if "--port" in found["Config"]["Cmd"]:
            port = found["Config"]["Cmd"][found["Config"]["Cmd"].index("--port") + 1]
        found["State"].update(Running=True, Status="running", StartedAt=f"call {len(self.calls)}")
        found["Log"].append("loading\n")
        self.most_running = max(self.most_running, len(self.running()))
        if behaviour == "exits":
            found["Log"].append("error: out of memory\n")
            self.end(found, 1)
        else:
            words = found["Config"]["Cmd"]
            path = words[words.index("-m") + 1] if "-m" in words else ""
            self.engines[found["Id"]] = FakeEngine(int(port), behaviour, int(context), path)

    def end(self, found: dict[str, Any], status: int) -> None:
        with self.changed:
            if found["State"]["Running"]:
                found["State"].update(Running=False, Status="exited", ExitCode=status)
            engine = self.engines.pop(found["Id"], None)
            self.changed.notify_all()
        if engine:
            engine.close()
