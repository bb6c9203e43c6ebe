"""Sections about what is given back when nobody asks, how it comes again, and what all of it may cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .fields import Address, Currency, Mac, Price, Seconds, SecretName, Text, Watts, Window, Word, entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """When a rented machine that was given back is started on demand: at every look for so long, so many requests to one
    model wait at its engines and at the gateway."""

    queue: int = entry("requests waiting", 4, least=1, most=10000)
    duration: Seconds = entry("for how long", 60.0, name="for", example="60s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """What happens to what nobody asks: to the replicas of a model, or to the machines of a pool. Idle is what had no
    request, in flight or waiting, and did no work at every look of the whole time, and what is not known counts as busy;
    a machine is idle when all of its replicas are, nobody is logged in, and its cards run nothing else. What ends is
    drained first, and a request that comes in that moment wins. Short form: the time after which, or `never`."""

    after: Seconds = entry("idle for this long", 1800.0, example="20m")
    do: Literal["sleep", "stop", "terminate", "suspend", "none"] = entry(
        "what then. sleep: the engines end and free their cards' memory; the default of a model, which can do nothing else, "
        "and of an owned pool, whose models without an `idle` of their own take it. suspend: an owned machine goes into "
        "suspend to RAM until `wake` of its host brings it back. terminate: a rented machine is ended and nothing of it "
        "costs any more; the default of a rented pool. stop: a rented machine is stopped and keeps its disk, which costs on, "
        "so that it is back sooner, if AWS has room for it then; not on the spot market. none: nothing",
        example="sleep",
        filled=True,
    )
    keep: int = entry(
        "this many stay: machines of the pool, or with `do: sleep` replicas of each model",
        0,
        least=0,
        most=1000,
    )
    hours: Window | None = entry(
        "never in these hours; UTC if no time zone is named", None, example='"Mon-Fri 08-18 Europe/Berlin"'
    )
    max_age: Seconds | None = entry(
        "a rented machine older than this, and at work, gets a successor: another comes, it is drained, and ends. Where the "
        "controller may not rent (`controller.rents`) that is only said. One that hangs is ended: requests are there, and "
        "none has made progress for 30 minutes",
        None,
        example="12h",
    )
    shadow: bool = entry("only say what would have happened, and what it would have saved", False)
    queue: int = entry(
        "how many requests to a model may wait at the gateway until it is awake; one more is answered with 503",
        64,
        least=1,
        most=1000,
    )
    duration: Seconds = entry("for how long each", 300.0, name="for", example="5m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """How an owned machine that is suspended, or off, is woken from the gateway's host. Short form: its MAC address."""

    mac: Mac | None = entry(
        "of the network card that a magic packet of Wake-on-LAN is for", None, example='"3c:ec:ef:12:34:56"'
    )
    broadcast: Address | None = entry(
        "the IP address that the packet is broadcast to; 255.255.255.255 if neither this nor `address` is given",
        None,
        example="192.168.20.255",
    )
    address: Address | None = entry(
        "an address that the packet is sent to alone, where broadcasts do not arrive: the machine's own, with a fixed entry "
        "in the router, or one that passes it on",
        None,
        example="192.168.20.13",
    )
    port: int | None = entry("the packet's UDP port; 9 if not given", None, example="9", least=1, most=65535)
    command: Text | None = entry(
        "a shell line that wakes it, instead of a packet; it runs on the gateway's host, as root",
        None,
        example='"curl -fsS -X POST https://bmc1.office.example/power/on"',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """Electrical power of a pool's own machines. kWh are measured with `meter`, which has the whole machine, else at the
    cards; what the rest of a machine draws is then estimated with `idle`, else not counted, and `hostler cost` says which.
    Short form: the limit."""

    limit: Watts | None = entry("power limit of each card", None, example="280 W")
    price: Price | None = entry("what a kWh costs", None, example="0.32 EUR/kWh")
    idle: Watts | None = entry("what a machine draws without its cards", None, example="80 W")
    meter: Text | None = entry(
        "a shell line that prints the watts that a machine draws at the wall: a number alone on its first line. It is run by "
        "root on each machine, each minute, for as long as a controller runs, and is killed after 10 s. HOSTLER_HOST in its "
        "environment is the machine's name here. Where it fails, the cards' own readings and `idle` are taken",
        None,
        example="\"ipmitool dcmi power reading | awk '/Instantaneous/ {print $4}'\"",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBudget:
    """What requests with one key may cost in a calendar month (of UTC), as `hostler cost --by key` has it. Short form: the
    month's sum, of which `alarms` are told."""

    month: Price | None = entry(
        "the sum: `alarms` are told at `warn` and at `hold` percent of it; `act` if not given",
        None,
        example="20 USD",
    )
    act: Price | None = entry(
        "from this sum on the gateway answers requests with the key with 429 (insufficient_quota), until the month is over or "
        "the sum is raised; requests under way go on. What nobody knows the price of is not in it. Needs the controller; "
        "never, if not given",
        None,
        example="25 USD",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent in a calendar month, and what happens on the way there, in percent of it; 0: that does not
    happen. What is paid in another currency counts with its rate in `money`, else not. A price that nobody knows is not
    counted as nothing: what has one is not rented beside a budget. Short form: the month's sum."""

    month: Price | None = entry("the sum of everything", None, example="300 USD")
    warn: int = entry("`alarms` are told", 80, least=0, most=1000)
    hold: int = entry(
        "nothing more is rented or woken in rented pools, and idle windows are a quarter as long",
        100,
        least=0,
        most=1000,
    )
    stop: int = entry(
        "what may be given back is, at its first quiet moment (idle windows are a hundredth as long); 0: never",
        0,
        example="120",
        least=0,
        most=1000,
    )
    keys: Mapping[Word, KeyBudget] = entry(
        "what requests with a key may cost, by the key's name",
        dict,
        example="{ci: 20 USD, app: {act: 50 USD}}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """In which currency sums are. What is paid in another one is never added without its rate."""

    currency: Currency | None = entry("of sums; the budget's if not given", None, example="EUR")
    rates: Mapping[Currency, Price] = entry(
        "what one unit of another currency is worth", dict, example="{USD: 0.92 EUR}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rents:
    """What the controller needs to rent a machine again that was given back, when a request waits for its model: what
    `hostler wake POOL` does, within the budget. Short form: the secret with the AWS credentials."""

    credentials: SecretName = entry(
        "the secret that holds an AWS credentials file, of a user or role with no more than the rights that `plan` shows",
        example="AWS_CREDENTIALS",
    )
    passphrase: SecretName | None = entry(
        "the secret that holds the passphrase of the state (HOSTLER_PASSPHRASE); not needed with `state.kms`",
        None,
        example="STATE_PASSPHRASE",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """The process on the gateway's host that watches what is idle, wakes what sleeps, counts the money, raises alarms,
    and shows the page."""

    page: bool = entry("the status page at /hostler of the gateway, for an admin key", True)
    rents: Rents | None = entry(
        "lets a request bring back a machine that was given back; without it, it has no rights in the cloud, and `hostler "
        "wake` does it",
        None,
        example="{credentials: AWS_CREDENTIALS, passphrase: STATE_PASSPHRASE}",
    )
