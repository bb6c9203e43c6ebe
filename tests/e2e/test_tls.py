"""`gateway.tls`: the stack's own authority, the user's own certificate, and back to none."""

from __future__ import annotations

import sys

import pytest

from e2e.desk import Desk
from lab.hosts import Host
from lab.shell import sh

pytestmark = pytest.mark.lab

PRIVATE_CA = "\ngateway: {tls: private-ca}\n"
CLIENT = """
import os, ssl, httpx, openai
trusted = ssl.create_default_context(cadata=os.environ["CA"] or None)
trusted.verify_flags |= ssl.VERIFY_X509_STRICT
client = openai.OpenAI(base_url=os.environ["ADDRESS"], api_key=os.environ["KEY"], max_retries=0,
                       http_client=openai.DefaultHttpxClient(verify=trusted))
try:
    answer = client.chat.completions.create(model="chat", max_tokens=32, temperature=0,
        messages=[{"role": "user", "content": "What is the capital of France? Answer in one short sentence."}])
    print(answer.choices[0].message.content)
except openai.APIConnectionError as error:
    print(error.__cause__)
"""


def chat(desk: Desk, ca: str, address: str = "") -> str:
    """What a client sees that trusts just this authority; none: those of its machine."""
    found = desk.connection()
    env = {"ADDRESS": f"{address or found['address']}/v1", "KEY": found["key"], "CA": ca}
    done = desk.operator.run([sys.executable, "-c", CLIENT], env=env, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_private_ca_and_back(desk: Desk, hosts: dict[str, Host]) -> None:
    plain = desk.file.read_text(encoding="utf-8")
    desk.write(plain + PRIVATE_CA)
    desk.up()
    found = desk.connection()
    assert found["address"].startswith("https://")
    assert found["ca"].startswith("-----BEGIN CERTIFICATE-----")
    assert "Paris" in chat(desk, found["ca"])
    assert "CERTIFICATE_VERIFY_FAILED" in chat(desk, "")
    assert desk.plan() == []
    for kind in ("openai", "langchain"):
        done = desk.operator.run([sys.executable, "-c", desk("connect", kind).out])
        assert done.returncode == 0, done.stderr
    done = desk.operator.run(["bash", "-c", f"cd $HOME && {desk('connect', 'curl').out}"])
    assert '"choices"' in done.stdout, done
    key = hosts["gpu-1"].run(
        ["stat", "-c", "%a %U:%G", "/etc/hostler/tls/ca.key", "/etc/hostler/tls/server.key"]
    )
    assert key.stdout.split("\n")[:2] == ["600 root:root", "640 root:hostler"]

    desk.edit("tls: private-ca", "tls: private-ca, address: llm.lab.test")
    plan = desk.plan()
    assert {change["item"] for change in plan} == {"made:server"}
    desk.up()
    address = hosts["gpu-1"].address
    assert "Paris" in chat(desk, found["ca"], f"https://{address}:8000")  # a colleague's way there stays good
    assert desk.connection()["ca"] == found["ca"]
    assert desk.plan() == []

    desk.write(plain)
    desk.up()
    assert desk.connection()["ca"] == ""
    assert "Paris" in desk.ask()
    left = hosts["gpu-1"].run(["ls", "/etc/hostler/tls"]).stdout.split()
    doors = [f"{door}.{end}" for door in ("edge", "gateway") for end in ("crt", "key")]
    assert left == [*doors, "peers", "sharing"]  # the edge is there for the files that its pool shares
    assert desk.plan() == []


def test_own_certificate(desk: Desk, hosts: dict[str, Host]) -> None:
    folder, address = desk.file.parent, hosts["gpu-1"].address
    names = ("-subj", "/CN=own", "-addext", f"subjectAltName=IP:{address},DNS:gpu-1")
    made = ("-nodes", "-keyout", folder / "llm.key", "-out", folder / "llm.pem")
    sh(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-days",
        "9",
        *names,
        *made,
    )
    desk.write(desk.file.read_text(encoding="utf-8") + "\ngateway: {tls: {cert: llm.pem, key: llm.key}}\n")
    desk.up()
    assert desk.plan() == []
    assert "Paris" in chat(desk, (folder / "llm.pem").read_text())
    secret = (folder / "llm.key").read_text()
    assert hosts["gpu-1"].run(["cat", "/etc/hostler/tls/server.key"]).stdout == secret
    assert secret.splitlines()[1] not in desk("plan", "--json").out
    journal = hosts["gpu-1"].run(["journalctl", "--no-pager", "--output=cat"]).stdout
    assert "hostler" in journal
    assert [
        line for line in secret.splitlines()[1:-1] if line in journal
    ] == []  # Ansible logs what it is told
