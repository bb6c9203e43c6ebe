"""The real vLLM as a host meets it: the image and the model by their real names, chat, a stream, and faults."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from .hosts import Host
from .hubdata import COMMITS, DENSE
from .operators import Operator
from .plugin import FreshHosts
from .shell import wait_for

pytestmark = pytest.mark.usefixtures("vllm")

AT = "http://127.0.0.1:9000"
HUB = f"https://huggingface.co/{DENSE}/resolve/main"
ASK = {"model": "chat", "max_tokens": 24, "temperature": 0}
ASK |= {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
# as the product runs an engine: nothing to write on, no rights, no name for its numbers
CONFINED = (
    *("--network", "host", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--user", "997:997", "--tmpfs", "/tmp:mode=1777", "--shm-size", "512m", "-e", "HOME=/tmp"),
)


def curl(host: Host, path: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return host.run(["curl", "-sS", "-m", "60", *words, AT + path], check=check)


def status(host: Host, path: str, *words: str) -> str:
    return curl(host, path, "-o", "/dev/null", "-w", "%{http_code}", *words, check=False).stdout


def chat(host: Host, *, stream: bool = False, limit: int = 60) -> subprocess.CompletedProcess[str]:
    words = ("-N", "-m", str(limit), "--json", json.dumps(ASK | {"stream": stream}))
    return curl(host, "/v1/chat/completions", *words, check=False)


@pytest.fixture
def engine(fresh_hosts: FreshHosts) -> Host:
    """A host with Docker on which the container `vllm` is healthy."""
    (host,) = fresh_hosts("h1")
    host.run(["apt-get", "update", "-qq"], timeout=300)
    host.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "docker.io"], timeout=300)
    host.run(["docker", "pull", "-q", "vllm/vllm-openai:latest"], timeout=300)
    host.run(["mkdir", "/srv/model"])
    for name in ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json"):
        host.run(["curl", "-fsSLo", f"/srv/model/{name}", f"{HUB}/{name}"])
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        host.run(["curl", "-fsSLo", f"/srv/model/{name}", f"{HUB}/{name}"])
    mounts = ("-v", "/srv/model:/m:ro", "vllm/vllm-openai:latest")
    asked = (
        "--host",
        "127.0.0.1",
        "--port",
        "9000",
        "--served-model-name",
        "chat",
        "--max-model-len",
        "1024",
    )
    asked += ("--max-num-seqs", "4", "--gpu-memory-utilization", "0.9", "--shutdown-timeout", "5")
    host.run(["docker", "run", "-d", "--name", "vllm", *CONFINED, *mounts, "/m", *asked])

    def healthy() -> bool:
        running = host.run(["docker", "inspect", "-f", "{{.State.Running}}", "vllm"]).stdout
        assert running == "true\n", host.run(["docker", "logs", "vllm"]).stderr[-3000:]
        return status(host, "/health") == "200"

    wait_for("vLLM", healthy, 180, every=0.5)
    return host


@pytest.mark.soak
def test_serves_and_fails_like_an_engine(engine: Host) -> None:
    answer = json.loads(chat(engine).stdout)
    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert chat(engine, stream=True).stdout.rstrip().endswith("data: [DONE]")
    assert json.loads(curl(engine, "/v1/models").stdout)["data"][0]["max_model_len"] == 1024
    assert "vllm:num_requests_running" in curl(engine, "/metrics").stdout

    completions = "/v1/chat/completions"
    engine.spoil_engine("vllm", {"/health": 503, completions: 500})
    assert (status(engine, "/health"), status(engine, completions, "--json", "{}")) == ("503", "500")
    engine.spoil_engine("vllm", {completions: "cut"})
    cut = chat(engine, stream=True)
    assert (cut.returncode, cut.stdout.startswith("data: "), "[DONE]" in cut.stdout) == (18, True, False)
    engine.spoil_engine("vllm", {completions: "hang"})
    assert chat(engine, limit=2).returncode == 28
    engine.spoil_engine("vllm", {})
    assert "Paris" in chat(engine).stdout

    engine.run(["pkill", "-KILL", "-f", "^VLLM::EngineCore"])
    assert engine.run(["docker", "wait", "vllm"]).stdout == "0\n"


def test_the_model_as_safetensors(operator: Operator, tmp_path: Path) -> None:
    def fetch(url: str, *words: str) -> bytes:
        target = tmp_path / "fetched"
        done = operator.run(["curl", "-fsSL", "-o", str(target), *words, url])
        assert done.returncode == 0, done.stderr
        return target.read_bytes()

    about = json.loads(fetch(f"https://huggingface.co/api/models/{DENSE}?blobs=true"))
    files = {file["rfilename"]: file for file in about["siblings"]}
    assert about["sha"] == COMMITS[DENSE][0]
    assert {"config.json", "tokenizer.json", "onnx/model.onnx", "pytorch_model.bin"} <= files.keys()
    weights, config = files["model.safetensors"], fetch(f"{HUB}/config.json")
    assert len(config) == files["config.json"]["size"]
    git = hashlib.sha1(b"blob %d\0" % len(config) + config, usedforsecurity=False)
    assert git.hexdigest() == files["config.json"]["blobId"]
    assert hashlib.sha256(fetch(f"{HUB}/model.safetensors")).hexdigest() == weights["lfs"]["sha256"]
    head = fetch(f"{HUB}/model.safetensors", "-r", "0-7")
    size = int.from_bytes(head, "little")
    header = json.loads(fetch(f"{HUB}/model.safetensors", "-r", f"8-{7 + size}"))
    assert header["model.embed_tokens.weight"]["dtype"] == "BF16"
