"""What clients need to reach the gateway: snippets that work when they are pasted."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["openai", "langchain", "open-webui", "curl"]

CA_FILE = "hostler-ca.crt"
QUESTION = "Say hello in one short sentence."


@dataclass(frozen=True, slots=True)
class _Target:
    base: str  # with /v1
    key: str
    model: str
    ca: str  # PEM, empty: the system's own authorities will do


def snippets(kind: Kind, *, address: str, key: str, models: Sequence[str], ca: str = "") -> str:
    """The text for one kind of client. `address` is scheme://name:port, `ca` the PEM that it must trust."""
    model = models[0] if models else "MODEL"
    return _KINDS[kind](_Target(f"{address.rstrip('/')}/v1", key, model, ca.strip()))


def _openai(target: _Target) -> str:
    imports = "from openai import DefaultHttpxClient, OpenAI" if target.ca else "from openai import OpenAI"
    client = _arguments(base_url=target.base, api_key=target.key)
    if target.ca:
        client += ", http_client=DefaultHttpxClient(verify=trusted)"
    message = {"role": "user", "content": QUESTION}
    return (
        f"{_trusted(target)}{imports}\n\n"
        f"client = OpenAI({client})\n"
        f"answer = client.chat.completions.create(model={_literal(target.model)}, messages=[{_literal(message)}])\n"
        "print(answer.choices[0].message.content)\n"
    )


def _langchain(target: _Target) -> str:
    imports, client = "", _arguments(model=target.model, base_url=target.base, api_key=target.key)
    if target.ca:
        imports = "from openai import DefaultAsyncHttpxClient, DefaultHttpxClient\n"
        client += (
            ",\n    http_client=DefaultHttpxClient(verify=trusted),"
            "\n    http_async_client=DefaultAsyncHttpxClient(verify=trusted),\n"
        )
    return (
        f"{_trusted(target)}from langchain_openai import ChatOpenAI\n{imports}\n"
        f"chat = ChatOpenAI({client})\n"
        f"print(chat.invoke({_literal(QUESTION)}).content)\n"
    )


def _curl(target: _Target) -> str:
    body = {"model": target.model, "messages": [{"role": "user", "content": QUESTION}]}
    words = [
        f"curl {shlex.quote(target.base + '/chat/completions')}",
        f"-H {shlex.quote(f'Authorization: Bearer {target.key}')}",
        "-H 'Content-Type: application/json'",
        f"-d {shlex.quote(json.dumps(body))}",
    ]
    if target.ca:
        words.insert(1, f"--cacert {CA_FILE}")
    return _ca_file(target) + " \\\n  ".join(words) + "\n"


def _open_webui(target: _Target) -> str:
    settings = {
        "OPENAI_API_BASE_URL": target.base,
        "OPENAI_API_KEY": target.key,
        "ENABLE_OLLAMA_API": "false",
    }
    words = ["docker run -d --name open-webui -p 3000:8080 -v open-webui:/app/backend/data"]
    if target.ca:
        settings |= {"SSL_CERT_FILE": f"/{CA_FILE}", "REQUESTS_CA_BUNDLE": f"/{CA_FILE}"}
        words.append(f'-v "$PWD/{CA_FILE}:/{CA_FILE}:ro"')
    words += [f"-e {shlex.quote(f'{name}={value}')}" for name, value in settings.items()]
    words.append("ghcr.io/open-webui/open-webui:main")
    return (
        f"{_ca_file(target)}{' \\\n  '.join(words)}\n\n"
        "# or, where Open WebUI already runs: Admin Panel > Settings > Connections > OpenAI API > +\n"
        f"#   URL {target.base}\n#   Key {target.key}\n"
    )


_KINDS: dict[Kind, Callable[[_Target], str]] = {
    "openai": _openai,
    "langchain": _langchain,
    "open-webui": _open_webui,
    "curl": _curl,
}


def _trusted(target: _Target) -> str:
    """Python that trusts the stack's own authority, and nothing else."""
    if not target.ca:
        return ""
    return f'import ssl\n\ntrusted = ssl.create_default_context(cadata="""\n{target.ca}\n""")\n\n'


def _ca_file(target: _Target) -> str:
    return f"cat > {CA_FILE} <<'EOF'\n{target.ca}\nEOF\n" if target.ca else ""


def _arguments(**values: str) -> str:
    return ", ".join(f"{name}={_literal(value)}" for name, value in values.items())


def _literal(value: object) -> str:
    """JSON text and flat objects are Python literals too."""
    return json.dumps(value)
