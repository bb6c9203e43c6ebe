"""`hostler fit` as a table and as JSON: the same rows."""

from __future__ import annotations

import io
import json

from hostler.console import fit as shown
from hostler.console.out import Out
from hostler.models.fit import Fails, Fit, Subject, Works

WORKS = Works(
    where="gpu-1",
    kind="RTX 3090",
    cards=2,
    engine="llama.cpp",
    weights="Q4_K_M",
    cache="q8_0",
    context=24576,
    card_mib=23962,
    tokens_s=13.27,
)
MEMORY = Works(
    where="nas", kind="main memory", cards=0, engine="llama.cpp", cache="f16", context=8192, card_mib=6000
)
FAILS = Fails(
    where="gpu-1",
    kind="RTX 3090",
    cards=1,
    engine="llama.cpp",
    reason="needs 40.1 GiB on each, 23.7 GiB free",
)
GONE = Fails(where="off", kind="", cards=0, engine="llama.cpp", reason="it does not answer")
OTHER = Fails(where="gpu-1", kind="RTX 3090", cards=2, engine="llama.cpp", weights="Q8_0", reason="too large")
FIT = Fit(works=(WORKS, MEMORY), fails=(FAILS, GONE, OTHER))
SUBJECT = Subject(name="chat", source="hf:o/r-GGUF:Q4_K_M")


def text(fit: Fit, notes: tuple[str, ...] = ()) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    shown.show(SUBJECT, fit, notes, Out(stdout=out, stderr=err))
    return out.getvalue(), err.getvalue()


def test_table() -> None:
    out, err = text(FIT, ("no host answers: common cards instead",))
    lines = [line.split("  ") for line in out.splitlines()]
    assert [" ".join(word.strip() for word in line if word) for line in lines] == [
        "host cards engine weights context cache on each tokens/s",
        "gpu-1 2 x RTX 3090 llama.cpp Q4_K_M 24k q8_0 23.4 GiB 13",
        "nas main memory llama.cpp 8k f16 5.9 GiB unknown",
        "",
        "does not work why",
        "gpu-1: 1 x RTX 3090 needs 40.1 GiB on each, 23.7 GiB free",
        "off it does not answer",
        "gpu-1: 2 x RTX 3090: Q8_0 too large",
    ]
    assert "no host answers: common cards instead" in err


def test_nothing_works() -> None:
    out, _ = text(Fit(works=(), fails=(FAILS,)))
    assert out.startswith("nothing here holds chat\n")


def test_report_is_json() -> None:
    report = json.loads(json.dumps(shown.report(SUBJECT, FIT, ("a note",))))
    assert report["model"] == "chat"
    assert report["source"] == "hf:o/r-GGUF:Q4_K_M"
    assert report["works"][0]["context"] == 24576
    assert report["works"][1]["tokens_s"] is None
    assert report["fails"][1]["reason"] == "it does not answer"
    assert report["notes"] == ["a note"]


def test_contexts_in_words() -> None:
    assert [shown.tokens(n) for n in (1024, 8192, 131072, 163840, 2000, 1000)] == [
        "1k",
        "8k",
        "128k",
        "160k",
        "2000",
        "1000",
    ]


def test_speeds_beyond_what_memory_decides() -> None:
    assert [shown.speed(rate) for rate in (None, 13.27, 199.6, 715.0)] == ["unknown", "13", "200", "over 200"]
