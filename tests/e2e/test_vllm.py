"""The real vLLM beside llama.cpp: chat and streams from both by one address, and an engine that dies comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.desk import LAB_STACK, Desk, container
from lab.hosts import Host
from lab.shell import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("vllm")]
DENSE = """
  dense:
    source: "hf:HuggingFaceTB/SmolLM2-135M-Instruct"
    context: 2k
    slots: 4
    smoke: {prompt: What is the capital of France? Answer in one short sentence., expect: Paris}
"""
BOTH = """
import json, os, openai
client = openai.OpenAI(base_url=os.environ["ADDRESS"], api_key=os.environ["KEY"])
ask = [{"role": "user", "content": "What is the capital of France? Answer in one short sentence."}]
said = {}
for model in ("chat", "dense"):
    how = {"model": model, "messages": ask, "max_tokens": 32, "temperature": 0}
    whole = client.chat.completions.create(**how).choices[0].message.content
    parts = [part.choices[0].delta.content for part in client.chat.completions.create(**how, stream=True)]
    said[model] = [whole, "".join(filter(None, parts)), len(parts)]
print(json.dumps(said))
"""
AGAIN_S = 120.0


def answers(desk: Desk) -> dict[str, tuple[str, str, int]]:
    """Model -> its answer, the same as a stream, and in how many parts that came."""
    return json.loads(desk.python(BOTH).stdout)


def replica(desk: Desk) -> dict[str, Any]:
    found = desk("status", "--json").json["replicas"]
    return next(one for one in found if one["model"] == "dense")


def test_vllm_beside_llama_cpp(desk: Desk, hosts: dict[str, Host]) -> None:
    desk.write(LAB_STACK.replace("\nmirror:", f"{DENSE}\nmirror:"))
    assert "dense answered" in desk.up().err
    again = desk.up("--json")
    assert again.json["changes"] == []
    assert "nothing to do" in again.err

    for whole, stream, parts in answers(desk).values():
        assert "Paris" in whole
        assert stream == whole
        assert parts > 3

    there = replica(desk)
    host = hosts[there["host"]]
    assert (there["state"], there["context"], len(there["cards"])) == ("ready", 2048, 1)
    runs_confined(host, there)
    only_its_files(host)
    comes_back(desk, host, there)


def runs_confined(host: Host, there: dict[str, Any]) -> None:
    shown = json.loads(host.run(["docker", "inspect", f"hostler-{there['id']}"]).stdout)[0]
    how, env = shown["HostConfig"], shown["Config"]["Env"]
    assert how["ReadonlyRootfs"]
    assert how["CapDrop"] == ["ALL"]
    assert how["ShmSize"] >= 512 << 20
    assert how["DeviceRequests"][0]["DeviceIDs"] == there["cards"]
    assert "vllm/vllm-openai@sha256:" in shown["Config"]["Image"]
    assert "HF_HUB_OFFLINE=1" in env


def only_its_files(host: Host) -> None:
    """What vLLM needs, and not the same weights for other programs."""
    files = set(host.run(["find", "/var/lib/hostler/models", "-type", "f", "-printf", "%f\n"]).stdout.split())
    assert {"model.safetensors", "config.json", "generation_config.json", "tokenizer.json"} <= files
    assert not {"pytorch_model.bin", "model.onnx", "README.md"} & files


def comes_back(desk: Desk, host: Host, there: dict[str, Any]) -> None:
    """vLLM ends with 0 when the process dies that computes: nothing that a restart on failure would see."""
    before = container(host, there["id"])
    first = host.run(["docker", "inspect", "-f", "{{.State.StartedAt}}", before]).stdout
    host.run(["pkill", "-KILL", "-f", "^VLLM::EngineCore"])

    def started() -> bool:
        now = container(host, there["id"])
        asked = host.run(["docker", "inspect", "-f", "{{.State.StartedAt}}", now], check=False)
        return bool(now) and asked.stdout != first and replica(desk)["state"] == "ready"

    wait_for("vLLM to serve again", started, AGAIN_S, every=1)
    assert "Paris" in answers(desk)["dense"][0]
    assert desk.plan() == []
