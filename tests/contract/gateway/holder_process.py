"""A controller's holder as a process of its own, so that it can be killed: `holder_process.py FOLDER RUN FIRST EVERY`.

Wakes are files of FOLDER: a wake appends a line to `begun-MODEL` and waits for `awake-MODEL`, or for `failed-MODEL`, which
says why. `eta-MODEL` seconds, `else-MODEL` those who stand in, `limits-MODEL` queue and seconds. FIRST, EVERY: the comments'.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from hostler.controller.holder import holder
from hostler.controller.holder_serving import Serving
from hostler.controller.holder_waking import Pace, WakeError

FOLDER, RUN, FIRST, EVERY = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])


def said(what: str, model: str) -> str | None:
    file = FOLDER / f"{what}-{model}"
    return file.read_text() if file.exists() else None


class Files:
    async def wake(self, model: str) -> bool:
        with (FOLDER / f"begun-{model}").open("a") as file:
            file.write("wake\n")
        while not self.ready(model):
            if (why := said("failed", model)) is not None:
                raise WakeError(why, 42)
            await asyncio.sleep(0.01)
        return True

    def eta_s(self, model: str) -> float | None:
        eta = said("eta", model)
        return float(eta) if eta else None

    def instead(self, model: str) -> list[str]:
        return (said("else", model) or "").split()

    def ready(self, model: str) -> bool:
        return said("awake", model) is not None

    def limits(self, model: str) -> tuple[int, float]:
        queue, seconds = (said("limits", model) or "64 60").split()
        return int(queue), float(seconds)


async def main() -> None:
    app = holder(Files(), f"{RUN}/internal.sock", Pace(first=FIRST, every=EVERY, look=0.05))
    serving = Serving(app, f"{RUN}/holder.sock")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.stop)
    await serving.run()


if __name__ == "__main__":
    asyncio.run(main())
