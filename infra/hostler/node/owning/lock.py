"""lock {"run", "who", "from", "why"}: the stack's lock, held as long as the other side is heard.

The first answer is {"granted": true} or {"granted": false, "holder": {..., "age": seconds}}. Then each line on stdin is
a heartbeat and is answered by {"beat": n}. The lock is let go at the end of stdin, or 30 s after the last heartbeat.
It is a flock, so it ends with this process whatever happens; the file's text says who.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import sys
import threading
import time
from typing import Any, Dict, Optional

from ..base import files
from ..base.protocol import Answers, Request, number, text

SILENCE = 30.0  # seconds without a heartbeat
TRIES = 20  # the holder may be about to write its name
PAUSE = 0.05


def lock(request: Request, answers: Answers) -> int:
    silence = number(request, "silence", SILENCE)
    holder = {key: text(request, key, "") for key in ("run", "who", "from", "why")}
    handle = open_file()
    try:
        if not taken(handle):
            answers.say(granted=False, holder=read_holder(handle))
            return 0
        write_holder(handle, holder)
        answers.say(granted=True)
        hold(answers, silence)
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)
    return 0


def hold(answers: Answers, silence: float) -> None:
    """Until the other side is gone. A second thread reads, since a read cannot be given a limit."""
    lines: "queue.Queue[bytes]" = queue.Queue()
    threading.Thread(target=listen, args=(lines,), daemon=True).start()
    beats = 0
    while True:
        try:
            line = lines.get(timeout=silence)
        except queue.Empty:
            answers.say(
                error="silence", message="nothing was heard for %g s: the lock is let go" % silence, next=""
            )
            return
        if not line:
            return
        beats += 1
        answers.say(beat=beats)


def listen(lines: "queue.Queue[bytes]") -> None:
    while True:
        line = sys.stdin.buffer.readline()
        lines.put(line)
        if not line:
            return


def open_file() -> int:
    """The lock's file, which nobody else can hold: in a directory that all may write to, so checked."""
    path = files.at(files.LOCK)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o600)
        if os.fstat(handle).st_uid == os.geteuid():
            return handle
        os.close(handle)
    except OSError:
        pass  # a link, or another account's file: not ours, so it goes
    files.remove(files.LOCK)
    return os.open(path, flags | os.O_EXCL, 0o600)


def taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_holder(handle: int, holder: Dict[str, Any]) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps({**holder, "since": round(time.time(), 1)}).encode(), 0)


def read_holder(handle: int) -> Dict[str, Any]:
    """Who holds it; `age` is by this host's clock, so no clocks are compared."""
    for _ in range(TRIES):
        holder = parsed(os.pread(handle, 1 << 16, 0))
        if holder is not None:
            return {**holder, "age": round(time.time() - float(holder.get("since", 0)), 1)}
        time.sleep(PAUSE)
    return {"run": "", "who": "somebody", "from": "", "why": "", "since": 0, "age": 0}


def parsed(content: bytes) -> Optional[Dict[str, Any]]:
    try:
        return dict(json.loads(content))
    except ValueError:
        return None
