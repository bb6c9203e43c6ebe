"""The address in front, asked by the clients that people use."""

from __future__ import annotations

import pytest

from e2e.desk import Desk

pytestmark = pytest.mark.lab

OPENAI = """
import os, openai
client = openai.OpenAI(base_url=os.environ["ADDRESS"], api_key=os.environ["KEY"], max_retries=0)
"""


def test_models(steady: Desk) -> None:
    assert steady.python(OPENAI + "print([m.id for m in client.models.list()])").stdout.strip() == "['chat']"


def test_a_stream_arrives_in_pieces(steady: Desk) -> None:
    code = OPENAI + (
        "pieces = [c.choices[0].delta.content or '' for c in client.chat.completions.create(model='chat', stream=True,\n"
        "    max_tokens=24, temperature=0, messages=[{'role': 'user', 'content': 'Count to five.'}]) if c.choices]\n"
        "print(len(pieces)); print(''.join(pieces))"
    )
    count, text = steady.python(code).stdout.split("\n", 1)
    assert int(count) > 5
    assert text.strip()


def test_langchain(steady: Desk) -> None:
    code = (
        "import os\nfrom langchain_openai import ChatOpenAI\n"
        "chat = ChatOpenAI(model='chat', base_url=os.environ['ADDRESS'], api_key=os.environ['KEY'], max_tokens=32, temperature=0)\n"
        "print(chat.invoke('What is the capital of France? Answer in one short sentence.').content)\n"
        "print(len([piece for piece in chat.stream('Count to five.')]))"
    )
    said = steady.python(code).stdout.strip().splitlines()
    assert any("Paris" in line for line in said)
    assert int(said[-1]) > 3


@pytest.mark.parametrize(
    ("how", "error", "code"),
    [
        (
            "openai.OpenAI(base_url=os.environ['ADDRESS'], api_key='sk-wrong', max_retries=0), 'chat'",
            "AuthenticationError",
            "invalid_api_key",
        ),
        ("client, 'nonsense'", "NotFoundError", "model_not_found"),
    ],
)
def test_errors_are_those_of_openai(steady: Desk, how: str, error: str, code: str) -> None:
    program = OPENAI + (
        f"who, model = {how}\n"
        "try: who.chat.completions.create(model=model, messages=[{'role': 'user', 'content': 'hi'}])\n"
        "except openai.APIStatusError as error: print(type(error).__name__, error.code)"
    )
    assert steady.python(program).stdout.split() == [error, code]


def test_a_prompt_of_2_mb_reaches_its_model(steady: Desk) -> None:
    """`model` stands behind the messages; the engine says that it is too long, not the gateway."""
    program = OPENAI + (
        "try: client.chat.completions.create(messages=[{'role': 'user', 'content': 'word ' * 400_000}], model='chat')\n"
        "except openai.APIStatusError as error: print(error.status_code, error.response.headers.get('x-hostler-replica'))"
    )
    status, replica = steady.python(program).stdout.split()
    assert status == "400"
    assert replica.startswith("chat-")


def test_a_key_works_and_is_revoked_at_once(desk: Desk) -> None:
    made = desk("key", "add", "bob").out.strip()
    program = OPENAI + (
        f"who = openai.OpenAI(base_url=os.environ['ADDRESS'], api_key={made!r}, max_retries=0)\n"
        "try: print(len(list(who.models.list())))\nexcept openai.AuthenticationError: print('refused')"
    )
    assert desk.python(program).stdout.strip() == "1"
    assert "bob" in desk("key", "list").out
    desk("key", "revoke", "bob")
    assert desk.python(program).stdout.strip() == "refused"
    assert desk.plan() == []


def test_printed_snippets_work(steady: Desk) -> None:
    import sys

    for kind in ("openai", "langchain"):
        snippet = steady("connect", kind).out
        done = steady.operator.run([sys.executable, "-c", snippet])
        assert done.returncode == 0, f"{kind}: {snippet}\n{done.stderr}"
        assert done.stdout.strip()
    done = steady.operator.run(["bash", "-c", steady("connect", "curl").out])
    assert '"choices"' in done.stdout, done
    assert "OPENAI_API_BASE_URL" in steady("connect", "open-webui").out
