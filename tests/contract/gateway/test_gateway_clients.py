"""TLS as clients see it, and the snippets of `hostler connect` as people paste them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from contract.gateway.rig import KEY, Rig, issue
from hostler.gateway.connect import Kind, snippets
from hostler.gateway.specs import OwnTls
from hostler.manifest.contents import SecretRef

RUNNABLE: list[Kind] = ["openai", "langchain", "curl"]


def private_ca(rig: Rig) -> str:
    """A gateway with `tls: private-ca`; the PEM that clients trust."""
    spec = rig.spec(rig.model("chat", 1), tls="private-ca")
    issue(Path(spec.paths.tls), "127.0.0.1")
    rig.gateway(spec)
    return (Path(spec.paths.tls) / "ca.crt").read_text()


@pytest.mark.parametrize("kind", RUNNABLE)
@pytest.mark.parametrize("tls", ["none", "private-ca"])
def test_snippets_run(rig: Rig, tmp_path: Path, kind: Kind, tls: str) -> None:
    ca = private_ca(rig) if tls == "private-ca" else ""
    if not ca:
        rig.gateway(rig.spec(rig.model("chat", 1)))
    address = f"{'https' if ca else 'http'}://127.0.0.1:{rig.port}"
    text = snippets(kind, address=address, key=KEY, models=("chat",), ca=ca)
    words = ["bash", "-c", text] if kind == "curl" else [sys.executable, "-c", text]
    answer = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert answer.returncode == 0, answer.stderr
    assert "I am chat-0" in answer.stdout


def curl(rig: Rig, ca: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    common = ("curl", "-sS", "--cacert", ca, f"https://127.0.0.1:{rig.port}/v1/chat/completions")
    return subprocess.run([*common, *words], capture_output=True, text=True, timeout=30)


def test_long_prompts_over_http2(rig: Rig, tmp_path: Path) -> None:
    ca, body = tmp_path / "ca.crt", tmp_path / "body"
    ca.write_text(private_ca(rig))
    body.write_text(f'{{"messages": "{"x" * (2 << 20)}", "model": "chat"}}')
    words = ("--http2", "-H", f"Authorization: Bearer {KEY}", "-d", f"@{body}", "-w", " %{http_version}")
    answer = curl(rig, ca, *words).stdout
    assert '"name": "chat-0"' in answer
    assert answer.endswith(" 2")


def test_plain_http_and_old_tls_are_refused(rig: Rig, tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text(private_ca(rig))
    assert curl(rig, ca, "--tls-max", "1.1").returncode == 35
    plain = ["curl", "-sS", f"http://127.0.0.1:{rig.port}/health"]
    assert subprocess.run(plain, capture_output=True, timeout=10).returncode != 0


def test_a_certificate_of_one_s_own(rig: Rig, tmp_path: Path) -> None:
    issue(tmp_path, "127.0.0.1")
    chain = (tmp_path / "server.crt").read_text() + (tmp_path / "ca.crt").read_text()
    key = (tmp_path / "server.key").read_text()
    secret = SecretRef(name="gateway.tls.key", sha256=hashlib.sha256(key.encode()).hexdigest())
    spec = rig.spec(rig.model("chat", 1), tls=OwnTls(certificate=chain, key=secret))
    rig.gateway(spec, secrets={"gateway.tls.key": key})
    answer = curl(rig, tmp_path / "ca.crt", "-H", f"Authorization: Bearer {KEY}", "-d", '{"model":"chat"}')
    assert '"name": "chat-0"' in answer.stdout
