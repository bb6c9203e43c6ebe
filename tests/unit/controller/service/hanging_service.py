"""The controller's service as a process, whose wakes never end: `hanging_service.py RUN`. A wake writes RUN/begun."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

from hostler.controller.__main__ import main
from hostler.controller.service import serve
from hostler.controller.service.wakes import Wakes

RUN = Path(sys.argv[1])


def hangs(self: Wakes, model: str) -> bool:
    (RUN / "begun").write_text(model)
    time.sleep(3600)
    return True


if __name__ == "__main__":
    Wakes.wake_now = hangs
    serve.Service = partial(serve.Service, run=RUN)  # type: ignore[misc,assignment]  where its sockets are
    sys.exit(main(["serve"]))
