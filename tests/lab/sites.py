"""The outside world that hosts and operators meet: the model hub, image registries, NVIDIA's packages, a file server."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from .debs import nvidia_repository
from .hubdata import COMMITS, DENSE, FILE, GATED, TOKEN, hub_files
from .images import images
from .pki import PYPI_NAMES, RPM_NAMES
from .python_world import Index, python_image_if_built
from .repositories import entries, large_file
from .rpms import rpm_repositories_if_built
from .vllm_image import vllm_image_if_built
from .web import Control, Request, Response, Site

APT_NAMES = ("nvidia.github.io", "developer.download.nvidia.com")
CDN = "https://cas-bridge.xethub.hf.co"


class Hub:
    """huggingface.co and its CDN, as far as huggingface_hub and plain resolve addresses need them."""

    def __init__(self, control: Control, cdn: str = CDN) -> None:
        self.control, self.cdn = control, cdn

    def answer(self, request: Request) -> Response:
        if cdn := re.fullmatch(r"/lfs/([0-9a-f]{64})", request.path):
            return self.bytes_of(cdn[1])
        if api := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?/?", request.path):
            return self.model(api[1], api[2] or "revision", api[3] or "main", request)
        if file := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", request.path):
            return self.resolve(file[1], file[2], file[3], request)
        return self.missing("RepoNotFound", "Repository not found", 404)

    def missing(self, code: str, message: str, status: int) -> Response:
        return Response.json({"error": message}, status, X_Error_Code=code, X_Error_Message=message)

    def revision(self, repo: str, revision: str, request: Request) -> int | Response:
        """0 or 1, the index of the commit; or why not."""
        commits = COMMITS.get(repo, ())
        allowed = request.headers.get("authorization") == f"Bearer {TOKEN}"
        if not entries(repo, 0):  # like the hub, which does not tell a stranger what exists
            return self.missing("RepoNotFound", "Repository not found", 404 if allowed else 401)
        if repo == GATED and not allowed:
            return self.missing("GatedRepo", f"Access to model {repo} is restricted.", 401)
        if revision == "main":
            return int(self.control.read().get("hub", {}).get(repo, 1)) - 1
        if revision in commits:
            return commits.index(revision)
        return self.missing("RevisionNotFound", f"Invalid rev id: {revision}", 404)

    def model(self, repo: str, what: str, revision: str, request: Request) -> Response:
        index = self.revision(repo, revision, request)
        if isinstance(index, Response):
            return index
        siblings: list[dict[str, Any]] = []
        for name, file in (entries(repo, index) or {}).items():
            lfs: dict[str, Any] = {"sha256": file.sha256, "oid": file.sha256, "size": file.size}
            lfs["pointerSize"] = len(file.pointer)
            if what == "tree":
                entry: dict[str, Any] = {"type": "file", "oid": file.blob, "size": file.size, "path": name}
            elif "blobs" in request.query:
                entry = {"rfilename": name, "size": file.size, "blobId": file.blob}
            else:
                entry = {"rfilename": name}
            siblings.append(entry | ({"lfs": lfs} if file.sha256 and len(entry) > 1 else {}))
        if what == "tree":
            return Response.json(siblings)
        commit = COMMITS[repo][index]
        about = {"_id": "671fbd8a2a4f0a8a1b4f2c11", "id": repo, "modelId": repo, "author": repo.split("/")[0]}
        about |= {"sha": commit, "lastModified": f"2026-0{index + 1}-01T00:00:00.000Z", "private": False}
        about |= {
            "gated": "manual" if repo == GATED else False,
            "disabled": False,
            "tags": ["safetensors", "llama"] if repo == DENSE else ["gguf"],
            "downloads": 1,
        }
        return Response.json(
            about | {"likes": 1, "createdAt": "2026-01-01T00:00:00.000Z", "siblings": siblings}
        )

    def resolve(self, repo: str, revision: str, name: str, request: Request) -> Response:
        index = self.revision(repo, revision, request)
        if isinstance(index, Response):
            return index
        commit = COMMITS[repo][index]
        file = (entries(repo, index) or {}).get(name)
        if not file:
            return Response(
                404, b"Entry not found", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
            )
        if not file.sha256:
            return Response(200, file.content, {"X-Repo-Commit": commit, "ETag": f'"{file.blob}"'})
        sha = file.sha256
        headers = {"X-Repo-Commit": commit, "X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{sha}"'}
        headers |= {"ETag": f'"{sha}"', "Accept-Ranges": "bytes", "Location": f"{self.cdn}/lfs/{sha}"}
        return Response(302, b"Found. Redirecting", headers | {"Content-Type": "text/plain"})

    def bytes_of(self, sha: str) -> Response:
        content = large_file(sha)
        return Response(200, content, {"ETag": f'"{sha}"'}) if content else Response(404)


class Registry:
    """A pull-only registry that asks for an anonymous token first, as ghcr.io and Docker Hub do."""

    def __init__(self, host: str, auth: str, service: str, control: Control) -> None:
        self.host, self.auth, self.service, self.control = host, auth, service, control
        self.always = images()

    @property
    def folders(self) -> list[Path]:
        """One for each image, also of one that was built since the lab started."""
        later = (vllm_image_if_built(), python_image_if_built())
        return [*self.always, *(folder for folder in later if folder)]

    def tags(self, name: str) -> dict[str, str] | None:
        """The digest under each tag."""
        known: dict[str, dict[str, str]] = {}
        for folder in self.folders:
            known |= json.loads((folder / "tags.json").read_text())
        return known.get(f"{self.host}/{name}")

    def answer(self, request: Request) -> Response:
        if request.path == "/token":
            return Response.json({"token": "lab", "access_token": "lab", "expires_in": 300})
        match = re.fullmatch(r"/v2/(?:(.+)/(manifests|blobs|tags)/([^/]+))?", request.path)
        if not match:
            return Response(404)
        name, kind, reference = match.groups()
        if request.headers.get("authorization") != "Bearer lab":
            return self.challenge(name)
        if not name:
            return Response.json({})
        tags = self.tags(name)
        if tags is None:
            return self.refuse("NAME_UNKNOWN", "repository name not known to registry")
        if kind == "tags":
            return Response.json({"name": name, "tags": sorted(tags)})
        if kind == "manifests" and not reference.startswith("sha256:"):
            moved = self.control.read().get("tags", {}).get(f"{self.host}/{name}:{reference}", reference)
            reference = tags.get(moved, "sha256:none")
        path = self.blob(reference)
        if not path:
            return self.refuse(
                "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN", "unknown to registry"
            )
        headers = {"Docker-Content-Digest": reference, "Docker-Distribution-Api-Version": "registry/2.0"}
        if kind == "blobs":
            return Response(200, path, headers)
        body = path.read_bytes()
        return Response(200, body, headers | {"Content-Type": str(json.loads(body)["mediaType"])})

    def blob(self, reference: str) -> Path | None:
        name = reference.removeprefix("sha256:")
        if not re.fullmatch("[0-9a-f]{64}", name):
            return None
        return next((f / "blobs" / name for f in self.folders if (f / "blobs" / name).exists()), None)

    def challenge(self, name: str | None) -> Response:
        scope = f',scope="repository:{name}:pull"' if name else ""
        ask = f'Bearer realm="https://{self.auth}/token",service="{self.service}"{scope}'
        errors = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
        version = "registry/2.0"
        return Response.json(errors, 401, WWW_Authenticate=ask, Docker_Distribution_Api_Version=version)

    def refuse(self, code: str, message: str) -> Response:
        return Response.json({"errors": [{"code": code, "message": message}]}, 404)


class Mirror:
    """A registry with a project for each registry that it stands for, as Harbor's proxy caches are."""

    def __init__(self, behind: dict[str, Registry]) -> None:
        self.behind = behind

    def answer(self, request: Request) -> Response:
        for name, registry in self.behind.items():
            if request.path.startswith(f"/v2/{name}/"):
                path = request.path.replace(f"/v2/{name}/", "/v2/", 1)
                return registry.answer(replace(request, path=path))
        return next(iter(self.behind.values())).answer(request)


class Files:
    """Plain files below a folder, or under the given names."""

    def __init__(self, root: Path, names: dict[str, Path] | None = None) -> None:
        self.root, self.names = root, names

    def answer(self, request: Request) -> Response:
        path = self.root / request.path.lstrip("/")
        if self.names is not None:
            path = self.names.get(request.path.lstrip("/"), self.root / "none")
        if not path.resolve().is_relative_to(self.root.resolve()) or not path.is_file():
            return Response(404, b"not found\n")
        return Response(200, path, {"ETag": f'"{path.stat().st_size:x}"'})


class Packages:
    """apt's repositories, and dnf's beside them once they are built."""

    def answer(self, request: Request) -> Response:
        built = rpm_repositories_if_built()
        roots = (nvidia_repository(), *([built / "www"] if built else []))
        found = [Files(root).answer(request) for root in roots]
        return next((one for one in found if one.status != 404), found[0])


def sites(control: Control) -> dict[str, tuple[str, Site]]:
    """Host name -> the name under which its faults are asked for, and who answers."""
    hub, packages = Hub(control), Packages()
    docker = Registry("registry-1.docker.io", "auth.docker.io", "registry.docker.io", control)
    return {
        "huggingface.co": ("huggingface.co", hub),
        "cas-bridge.xethub.hf.co": ("huggingface.co", hub),
        "ghcr.io": ("ghcr.io", Registry("ghcr.io", "ghcr.io", "ghcr.io", control)),
        "registry-1.docker.io": ("registry-1.docker.io", docker),
        "auth.docker.io": ("registry-1.docker.io", docker),
        **{name: (name, packages) for name in (*APT_NAMES, *RPM_NAMES)},
        **dict.fromkeys(PYPI_NAMES, (PYPI_NAMES[0], Index())),
        **_mirrors(control),
        "models.example.com": ("models.example.com", Files(hub_files(), {FILE: hub_files() / "1.gguf"})),
    }


def _mirrors(control: Control) -> dict[str, tuple[str, Site]]:
    """An office's own servers with the same things."""
    names = {"ghcr.io": "ghcr.io", "docker.io": "registry-1.docker.io"}
    auth = "registry.office.example"
    behind = {name: Registry(real, auth, auth, control) for name, real in names.items()}
    return {
        auth: (auth, Mirror(behind)),
        "hub.office.example": ("hub.office.example", Hub(control, "https://hub.office.example")),
        "apt.office.example": ("apt.office.example", Packages()),
    }
