"""Requests in the background: streams from several clients, each of whose answers must be whole."""

from __future__ import annotations

import subprocess
import sys

from e2e.desk import Desk

# streams from several clients until it is told to stop; counts whole and broken answers
LOAD = """
import asyncio, os, sys, openai
done = {"whole": 0, "broken": []}
async def one(client, stop):
    while not stop.is_set():
        try:
            finish = None
            stream = await client.chat.completions.create(model="chat", stream=True, max_tokens=24, temperature=0,
                messages=[{"role": "user", "content": "Count to twenty."}])
            async for piece in stream:
                finish = (piece.choices and piece.choices[0].finish_reason) or finish
            if finish:
                done["whole"] += 1
            else:
                done["broken"].append("no finish reason")
        except Exception as error:
            done["broken"].append(f"{type(error).__name__}: {error}")
async def main():
    stop = asyncio.Event()
    client = openai.AsyncOpenAI(base_url=os.environ["ADDRESS"], api_key=os.environ["KEY"], max_retries=0, timeout=120)
    workers = [asyncio.create_task(one(client, stop)) for _ in range(4)]
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    stop.set()
    await asyncio.gather(*workers)
    print(done["whole"], len(done["broken"]), *done["broken"][:3])
asyncio.run(main())
"""


class Load:
    """Requests in the background."""

    def __init__(self, desk: Desk) -> None:
        found = desk.connection()
        env = {"ADDRESS": f"{found['address']}/v1", "KEY": found["key"]}
        self.process = desk.operator.popen([sys.executable, "-c", LOAD], env=env, stdin=subprocess.PIPE)

    def __enter__(self) -> Load:
        assert self.process.stdout
        assert self.process.stdout.readline().strip() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()  # with its pipes

    def end(self) -> tuple[int, str]:
        """(whole answers, what was broken)"""
        out, err = self.process.communicate("\n", timeout=180)
        words = out.strip().split(" ", 1)
        assert words[0].isdigit(), err
        return int(words[0]), "" if words[1].startswith("0") else words[1]
