"""Asks the demo's gateway a question with the openai client, and says what to try next."""

from __future__ import annotations

import json
import subprocess
import sys

from openai import OpenAI

QUESTION = "What is the capital of France? Answer in one short sentence."


def main(hostler: str) -> None:
    found = json.loads(
        subprocess.check_output([hostler, "connect", "-f", "stacks/lab.yaml", "--json"], text=True)
    )
    client = OpenAI(base_url=f"{found['address']}/v1", api_key=found["key"])
    model = found["models"][0]
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": QUESTION}], max_tokens=48, temperature=0
    )
    print(f"\nyou ask {model}:  {QUESTION}")
    print(f"it answers:    {(answer.choices[0].message.content or '').strip()}\n")
    print(f"address  {found['address']}/v1\nkey      {found['key']}\n")
    print("what to try next, in `make demo-shell`:")
    print("  hostler status -f lab            hosts, cards, replicas")
    print("  hostler plan -f lab              nothing to do; stop a container by hand and look again")
    print("  hostler roll chat -f lab         a rolling restart that cuts no request")
    print("  hostler connect langchain -f lab\n  hostler down -f lab")
    print("`make demo-down` takes the hosts away.")


if __name__ == "__main__":
    main(sys.argv[1])
