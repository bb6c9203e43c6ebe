"""What the controller runs, whole or not there: a folder that is named after its content, the program that `up` brought and
the Python packages that its lock file names, each by its SHA-256."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import zipfile
from typing import Any, Dict, Generator, List, Sequence, Tuple

from ..base import files, shell
from ..base.protocol import NodeError, as_dict
from ..docker import docker

Json = Dict[str, Any]
FOLDER = "/etc/hostler/controller"
STATE = "/var/lib/hostler/controller"
SITES = STATE + "/site"  # <digest>: what Python imports
KEPT = STATE + "/state"  # the controller's own, over its runs
SETTINGS, PROGRAM, PINS = "run.json", "hostler.zip", "requirements.txt"
CONTAINER = "hostler-updates"  # a turn of the timer's
SERVING = "hostler-controller"  # what stays
RENTING = "hostler-rent-"  # and the slot of which it rents the machine
TURN = STATE + "/renting"  # held by the one that rents now
RENTS = KEPT + "/rents"  # SLOT.json: what becomes of it
BUSY = STATE + "/lock"
DUE = files.DUE + "/controller"  # it was brought anew, and what stays was not started anew since
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
INSTALL_S = 900.0
CLIENT = ("docker",)
# what every container of it may do: nothing but use the network
BARE = (
    "--rm",
    "--network",
    "host",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--log-driver",
    "none",
)


def bare() -> Tuple[str, ...]:
    """What every container of it is started with. Its mounts are read with SELinux's labels as they are, as replicas'."""
    unlabelled = ("--security-opt", "label=disable") if docker.confines_by_selinux() else ()
    return (*BARE, *unlabelled)


def end_containers() -> None:
    """Those of it that a Docker which restarted, or a client that was killed, left running, or that end by themselves."""
    names = [SERVING, CONTAINER, CONTAINER + "-proof", CONTAINER + "-install"]
    with contextlib.suppress(NodeError, docker.DockerError):
        names += former()
    for name in names:
        with contextlib.suppress(NodeError, docker.DockerError):
            docker.stop(name, 30)
            docker.remove(name)


def former() -> List[str]:
    """Containers of what stayed before, which give their last answers, and of what rents."""
    found = [str(name).lstrip("/") for one in docker.containers() for name in one.get("Names") or ()]
    return sorted(name for name in found if name.startswith((SERVING + "-", RENTING)))


@contextlib.contextmanager
def alone() -> Generator[None, None, None]:
    """One at a time installs."""
    os.makedirs(files.at(STATE), mode=0o700, exist_ok=True)
    with open(files.at(BUSY), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def settings() -> Json:
    found = as_dict(files.read_json(FOLDER + "/" + SETTINGS))
    if not {"image", "program", "requirements"} <= set(found):
        raise NodeError("controller", "%s/%s is not there, or damaged" % (FOLDER, SETTINGS), "hostler up")
    return found


def rents() -> bool:
    """Whether it may rent: its packages say so."""
    return b"\npulumi" in b"\n" + (files.read(FOLDER + "/" + PINS) or b"")


def hidden() -> Tuple[Tuple[str, str, str], ...]:
    """Nothing in the place of secrets that are for renting alone, for whoever reads what clients send."""
    names = settings().get("rights")
    paths = ["%s/secrets/%s" % (FOLDER, name) for name in names if isinstance(name, str)] if names else []
    return tuple(("/dev/null", path, "ro") for path in paths if os.path.exists(files.at(path)))


def made() -> Tuple[str, bool]:
    """The folder that is imported from, and whether it was made now: whole, or not there."""
    wish = settings()
    names = (wish["image"].rpartition(":")[2][:12], wish["program"][:12], wish["requirements"][:12])
    path = "%s/%s" % (SITES, "-".join(names))
    if os.path.isdir(files.at(path)):
        return path, False
    fresh = path + ".new"
    shutil.rmtree(files.at(fresh), ignore_errors=True)
    os.makedirs(files.at(fresh), mode=0o755)
    os.makedirs(files.at(KEPT), mode=0o700, exist_ok=True)
    try:
        _packages(wish, fresh)
        _program(wish, fresh)
        os.sync()  # a power cut leaves the whole of it, or nothing
        os.rename(files.at(fresh), files.at(path))
    finally:
        shutil.rmtree(files.at(fresh), ignore_errors=True)
    return path, True


def _packages(wish: Json, folder: str) -> None:
    """By the lock file's checksums, wheels alone: nothing is built, and nothing of a package is run."""
    if files.sha256_of(FOLDER + "/" + PINS) != wish["requirements"]:
        raise NodeError("controller", "%s/%s is not as it was brought" % (FOLDER, PINS), "hostler up")
    mounts = ((folder, "/site", "rw"), ("%s/%s" % (FOLDER, PINS), "/pins.txt", "ro"), *trust())
    pip = (
        "python3",
        "-m",
        "pip",
        "install",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--no-warn-script-location",
    )
    pip += (
        "--root-user-action",
        "ignore",
        "--progress-bar",
        "off",
        "--quiet",
        "--only-binary",
        ":all:",
        "--no-deps",
    )
    pip += ("--require-hashes", "--no-compile", "--target", "/site", "-r", "/pins.txt")
    if wish.get("index"):
        pip += ("--index-url", wish["index"])
    name = CONTAINER + "-install"
    docker.remove(name)
    words = (*CLIENT, "run", *bare(), "--name", name, *bound(mounts), *environment(), image(wish), *pip)
    said = shell.run(words, INSTALL_S)
    if not said.ok:
        docker.remove(name)
        raise NodeError(
            "controller",
            "its Python packages could not be installed: " + said.why,
            "can this host reach the package index (mirror.python in the stack file)? then `hostler up` again",
            log=said.stderr[-4000:],
        )


def _program(wish: Json, folder: str) -> None:
    path = FOLDER + "/" + PROGRAM
    if files.sha256_of(path) != wish["program"]:
        raise NodeError("controller", path + " is not as it was brought", "hostler up")
    with zipfile.ZipFile(files.at(path)) as packed:
        packed.extractall(files.at(folder))


def without(site: str) -> bool:
    """Takes away what earlier versions ran. What a container still runs stays until the next time: what it has not
    imported yet it would miss."""
    stay = {os.path.basename(site), *used()}
    old = [name for name in os.listdir(files.at(SITES)) if name not in stay]
    for name in old:
        shutil.rmtree(files.at(SITES, name), ignore_errors=True)
    return bool(old)


def used() -> List[str]:
    """Folders that a container has as its own, a stopped one too, as it may be one that starts."""
    return [
        os.path.basename(str(mount.get("Source")))
        for container in docker.containers()
        for mount in container.get("Mounts") or ()
        if str(mount.get("Source")).startswith(SITES + "/")
    ]


def environment() -> List[str]:
    """LOGNAME is who the record and the lock name; bytecode is compiled once, beside the controller's state."""
    values = {
        "HOME": "/state",
        "HOSTLER_CONTROLLER_HOST": str(as_dict(files.read_json(files.STACK)).get("host") or ""),
        "LOGNAME": "hostler-updates",
        "HOSTLER_CONTROLLER": FOLDER,
        "PYTHONPATH": "/site",
        "PYTHONPYCACHEPREFIX": "/state/bytecode",
        "PATH": "/site/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
    }
    if bundle := _bundle():
        values.update(SSL_CERT_FILE=bundle, REQUESTS_CA_BUNDLE=bundle, PIP_CERT=bundle)
    return [word for name, value in values.items() for word in ("--env", "%s=%s" % (name, value))]


def trust() -> Tuple[Tuple[str, str, str], ...]:
    """The authorities that the host trusts, a private one among them."""
    bundle = _bundle()
    return ((bundle, bundle, "ro"),) if bundle else ()


def _bundle() -> str:
    return next((path for path in BUNDLES if os.path.exists(files.at(path))), "")


def bound(mounts: Sequence[Tuple[str, str, str]]) -> List[str]:
    return [
        word for source, target, how in mounts for word in ("--volume", "%s:%s:%s" % (source, target, how))
    ]


def image(wish: Json) -> str:
    """Its id; one that somebody took away is fetched again."""
    why = ""
    for _ in range(2):
        for ref in (wish["image"], wish.get("from")):
            found = docker.image(str(ref)) if ref else None
            if found is not None:
                return str(found["Id"])
        said = shell.run((*CLIENT, "pull", "--quiet", str(wish.get("from") or wish["image"])), INSTALL_S)
        why = said.why
        if not said.ok:
            break
    raise NodeError("controller", "its image is not here, and cannot be fetched: " + why, "hostler up")
