"""`python -m hostler.controller serve|tick|prove|rent SLOT`: what runs all the time on the gateway's host, what its timer
starts, what `up` asks for a proof, and what rents a slot's machine again."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from hostler import __version__
from hostler.console.out import Out
from hostler.controller import frozen, memory, turn
from hostler.controller.stand import Turn, date, reason
from hostler.errors import Exit, HostlerError
from hostler.hosts import ways
from hostler.stackfile.load import load

HOLD, GO_ON = "hold.json", "go-on"  # written by the agent, for `hostler update --pause` and `--go-on`


def main(words: list[str]) -> int:
    signal.signal(signal.SIGTERM, _ended)
    if words == ["prove"]:
        from hostler.controller.proof import prove

        told = {"hosts": prove(), "rents": _rents(Path(os.environ["HOME"]))}
        sys.stdout.write(json.dumps(told) + "\n")
        return 0
    there = ways.folder()
    renting = len(words) == 2 and words[0] == "rent"
    if (words not in (["tick"], ["serve"]) and not renting) or there is None:
        sys.stderr.write(
            "usage: python -m hostler.controller serve|tick|prove|rent SLOT, in the controller's container\n"
        )
        return int(Exit.USAGE)
    own = Path(os.environ["HOME"])
    if renting:
        from hostler.controller.renting import rent

        return rent(there, own, words[1], held(own, time.time()))
    return serve(there, own) if words == ["serve"] else tick(there, own, time.time())


def _rents(own: Path) -> str:
    """Why it could not rent; empty: it could, or is not to. The answer is the only line of standard output."""
    from hostler.controller.renting import why_not

    there = ways.folder()
    return why_not(there, own) if there else ""


def serve(there: Path, own: Path) -> int:
    """Until it is told to end."""
    import asyncio

    from hostler.controller.service.serve import Service

    out = Out(stdout=sys.stderr)
    try:
        service = Service(there, own, out)
    except HostlerError as error:  # a stack file of another version of hostler
        out.error(error)
        return int(error.code)

    async def whole() -> None:
        """No thread is waited for: a wake or a look may take an hour, and a host that hears no more stays as it was."""
        code = 1
        try:
            await service.run()
            code = 0
        except Exception:  # noqa: BLE001 - it ends here, and says why
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    asyncio.run(whole())
    return 0


def tick(there: Path, own: Path, now: float) -> int:
    """One turn. `there`: what `up` brought; `own`: what is kept from one turn to the next."""
    out = Out(stdout=sys.stderr)
    try:
        file = load(there / "stack.yaml")
    except HostlerError as error:  # of another version of hostler
        out.error(error)
        memory.show(own, {"at": now, "version": __version__, "state": "deferred", "text": reason(error)})
        return int(error.code)
    it = Turn(file=file, out=out, memory=memory.load(own), now=now, save=lambda new: memory.save(own, new))
    if (own / GO_ON).exists():
        (own / GO_ON).unlink()
        it.keep(halted="", resumed="")
        it.quiet("halted")
    memory.show(own, _status(it, state="working", text="a turn is under way"))
    try:
        turn.turn(it, lambda: held(own, time.time()))
    except KeyboardInterrupt:
        memory.show(own, _status(it, state="interrupted", text="it was told to end; the next turn goes on"))
        return int(Exit.INTERRUPTED)
    except Exception as error:
        text = f"a bug in hostler, or a full disk: {type(error).__name__}"
        it.tell("bug", f"{text}; `hostler logs controller`")
        memory.show(own, _status(it, state="failed", text=text))
        raise
    memory.show(own, _status(it))
    return 0


def _ended(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def held(own: Path, now: float) -> str:
    """Why somebody wants nothing to be done, empty: nobody does, or not any more."""
    try:
        hold: dict[str, Any] = json.loads((own / HOLD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    until = float(hold.get("until") or 0.0)
    if until and now >= until:
        return ""
    then = f", until {date(until)}" if until else ""
    return f"{hold.get('why') or 'held'} ({hold.get('who')}{then})"


def _status(it: Turn, state: str = "", text: str = "") -> dict[str, Any]:
    known = it.memory.frozen
    return {
        "at": time.time(),
        "version": __version__,
        "state": state or it.state,
        "text": text or it.text,
        "looked": it.memory.looked,
        "waiting": [
            {
                "model": one.model,
                "changed": list(one.changed),
                "seen": one.seen,
                "from": frozen.ripens(one, it.updates, it.memory.took.get(one.model, 0.0)),
            }
            for one in known.values()
        ],
        "last": {
            "model": it.memory.last.model,
            "what": it.memory.last.what,
            "at": it.memory.last.at,
            "ended": it.memory.last.ended,
            "why": it.memory.last.why,
        },
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
