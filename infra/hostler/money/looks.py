"""What the controller sees at one moment, as far as it costs money: plain values, which metering makes rows of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hostler.money.rows import Rate

NO_RATE = Rate(amount=None, currency="", source="its price was not asked for")

type RunState = Literal["running", "stopped", "gone", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """A card's electrical power, in watts: what it draws, and what it may draw at most. None: it does not tell."""

    watts: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A host. stopped: it costs its disk alone; gone: given back, nothing any more; unknown: it could not be asked.

    `born`: which run of it this is: of a rented one its instance and that one's start, of an owned one its boot. The same
    at two looks: it ran all along. `since`: that start in seconds since 1970, None where nobody knows. `until`: of one that
    is stopped or gone, when it ended; None where nobody knows.
    `models`: the shares of it that serve models, 1 or less together; the rest serves none.
    """

    name: str
    pool: str = ""
    owned: bool = True
    state: RunState = "running"
    born: str = ""
    since: float | None = None
    until: float | None = None
    models: Mapping[str, float] = field(default_factory=dict[str, float])
    # rented: prices of an hour
    market: str = ""
    price: Rate = NO_RATE
    disk: Rate | None = None  # None: it has none of its own to pay for
    address: Rate | None = None
    # owned
    cards: Mapping[str, Draw] = field(default_factory=dict[str, Draw])  # by UUID
    idle_w: float | None = None  # of the machine without its cards: `power.idle`
    meter_w: float | None = None  # of the whole machine, at the wall: what `power.meter` says
    meter_why: str = ""  # why there is none, though one is wanted
    kwh: Rate = NO_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A replica's counters since its engine's start. None: it does not count that, or did not answer."""

    replica: str
    model: str
    host: str
    pool: str = ""
    born: str = ""  # another one is a restart: it counts from 0
    started: float | None = None  # in seconds since 1970
    prompt: float | None = None
    generated: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Bytes that the gateway sent, by model and key, since it counts: its stick table `usage`."""

    born: str
    sent: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """What is not there, or would not be, because it was idle. `amount`: of `unit` an hour, that it does not use.
    `subject`: replica or host. `shadow`: it is there, and nothing but told of."""

    subject: str
    host: str
    pool: str = ""
    model: str = ""
    do: str  # sleep, stop, terminate, suspend
    shadow: bool = False
    unit: str  # rows.HOURS of a rented host, rows.KWH
    amount: float
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """`at`: seconds since 1970; `steady`: CLOCK_BOOTTIME of the machine that looks, and `boot` its boot id: by them it is
    known that its other clock was put right. `usage` None: the gateway did not tell."""

    at: float
    steady: float | None = None
    boot: str = ""
    machines: tuple[Machine, ...] = ()
    counts: tuple[Count, ...] = ()
    usage: Usage | None = None
    away: tuple[Away, ...] = ()
