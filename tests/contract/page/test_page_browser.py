"""The page in a real browser: each number is that of status.json, it lives, it fits a phone, and data stay data."""

from __future__ import annotations

import json
import urllib.request
from datetime import datetime
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from worlds import page_world as world

from .conftest import Browser, Site

SNAPSHOTS = {"wrong": world.snapshot, "calm": world.calm, "hostile": world.hostile}
FACTS = """
return [...document.querySelectorAll('[data-path]')].map((one) =>
  [one.dataset.path, one.dataset.value, one.dataset.as, one.dataset.unit ?? '', one.textContent, one.checkVisibility()]);
"""
OVER = """
const wide = [...document.querySelectorAll('body *')].filter((one) => one.checkVisibility() &&
  !one.closest('.skip, .unseen, thead') && one.getBoundingClientRect().right > arguments[0] + 0.5);
return [document.documentElement.scrollWidth, wide.map((one) => one.outerHTML.slice(0, 90))];
"""
# Text against what is behind it, with opacity, as WCAG counts it
PALE = """
const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const rgba = (colour) => {
  context.clearRect(0, 0, 1, 1); context.fillStyle = colour; context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data].map((x) => x / 255);
};
const over = (top, part, below) => below.map((x, i) => top[i] * part + x * (1 - part));
const light = (colour) => {
  const [r, g, b] = colour.map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (one) => {
  for (let up = one; up; up = up.parentElement) {
    const [r, g, b, a] = rgba(getComputedStyle(up).backgroundColor);
    if (a > 0.99) return [r, g, b];
  }
  return [1, 1, 1];
};
const found = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const one = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !one.checkVisibility() || one.closest('.unseen, .skip, noscript')) continue;
  let part = 1;
  for (let up = one; up; up = up.parentElement) part *= Number(getComputedStyle(up).opacity);
  const back = behind(one);
  const ink = over(rgba(getComputedStyle(one).color), part, back);
  const [high, low] = [light(ink), light(back)].sort((x, y) => y - x);
  const ratio = (high + 0.05) / (low + 0.05);
  if (ratio < 4.5) found.push([ratio.toFixed(2), one.className, walk.currentNode.data]);
}
return found;
"""


def find(snapshot: dict[str, Any], path: str) -> Any:
    """The value at a path; of several, joined by + and -, their sum. None as soon as one is not known."""

    def one(words: str) -> Any:
        value: Any = snapshot
        for key in words.split("."):
            value = value[int(key)] if isinstance(value, list) else (value or {}).get(key)
        return value

    first, *rest = path.split(" ")
    total = one(first)
    for sign, words in zip(rest[::2], rest[1::2], strict=True):
        value = one(words)
        if total is None or value is None:
            return None
        total = total + value if sign == "+" else total - value
    return total


def plain(value: Any) -> str:
    """As JavaScript writes it."""
    if value is None:
        return "null"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def size(count: float) -> str:
    for name in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if name == "B" else f"{count:.1f} {name}"
        count /= 1024
    return f"{count:.1f} TiB"


FORMS = {
    "text": str,
    "count": lambda x: f"{x:,.0f}",
    "tokens": lambda x: f"{x:,.0f} tokens",
    "rate": lambda x: (f"{x:.1f}" if x < 100 else f"{int(x + 0.5):,}") + " tokens/s",
    "latency": lambda x: f"{x * 1000:.0f} ms" if x < 1 else f"{x:.1f} s",
    "mib": lambda x: size(x * 2**20),
    "bytes": size,
    "percent": lambda x: f"{x:.0f}%",
    "watts": lambda x: f"{x:.0f} W",
    "celsius": lambda x: f"{x:.0f} °C",
}
TICKING = ("age", "left", "time")


def status(site: Site) -> dict[str, Any]:
    with urllib.request.urlopen(f"{site.address}/hostler/status.json") as answer:
        return json.load(answer)


def opened(browser: Browser, site: Site, snapshot: dict[str, Any]) -> dict[str, Any]:
    site.put(snapshot)
    browser.driver.get(f"{site.address}/hostler")
    browser.shows(snapshot)
    return snapshot


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_every_number_is_that_of_the_status(browser: Browser, site: Site, name: str) -> None:
    opened(browser, site, SNAPSHOTS[name]())
    told = status(site)
    facts: list[Any] = browser.js(FACTS)
    assert len(facts) > (60 if name == "calm" else 120)
    for path, value, form, unit, text, visible in facts:
        expected = find(told, path)
        assert visible, path
        assert value == plain(expected), path
        if expected is None:
            assert text == "unknown", path
        elif form == "money":
            assert text == f"{expected:.2f} {unit}", path
        elif form not in TICKING:
            assert text == FORMS[form](expected), path
    assert browser.js("return document.querySelectorAll('[data-as=time][datetime]').length") >= (
        2 if name == "calm" else 4
    )


def test_all_that_matters_is_on_it(browser: Browser, site: Site) -> None:
    """Whatever of the snapshot is a number that the page is for, and each text with what mends it."""
    found = opened(browser, site, world.snapshot())
    paths = {word for path, *_ in browser.js(FACTS) for word in path.split(" ")}
    for i, row in enumerate(found["models"]):
        assert {f"models.{i}.{key}" for key in ("ready", "replicas")} <= paths
        if row["name"] != "heavy":
            assert {f"models.{i}.{key}" for key in ("tokens_per_s", "first_token_p95_s")} <= paths
    for i, row in enumerate(found["cards"]):
        keys = ("memory_mib", "used_mib", "power_w", "power_limit_w", "temperature_c", "utilization")
        assert {f"cards.{i}.{key}" for key in (keys if row["state"] == "seen" else ("memory_mib",))} <= paths
    asleep = {i for i, row in enumerate(found["replicas"]) if row["id"] == "heavy-0"}
    assert {f"replicas.{i}.running" for i in range(len(found["replicas"])) if i not in asleep} <= paths
    assert {f"idle.{i}.evidence" for i in range(len(found["idle"]))} | {
        "idle.1.in_s",
        "idle.1.saves",
    } <= paths
    assert {f"money.{key}.amount" for key in ("today", "so_far", "projection", "saved", "budget")} <= paths
    assert "money.budgets.1.refused_until" in paths
    assert {"last_change.what", "last_change.ended", "next_window.opens", "updates.text", "release"} <= paths
    shown = browser.text("body")
    for row in found["errors"]:
        assert row["text"] in shown
        assert row["next"] in shown
    for row in found["hosts"]:
        assert row["next"] in shown
    for text in (
        "A card is missing on gpu-2",
        "Budget of the stack: the month: not all is known",
        "Budget of key ci: key ci has spent 12.30 EUR; its requests are refused: 12.30 of 12.00 EUR",
        "A stray costs money",
    ):
        assert text in shown
    assert browser.text("h1").startswith("No word from embed")
    assert "heavy sleeps and wakes when asked" in browser.text("#verdict")


def rack(*replicas: tuple[str, str], **more: Any) -> dict[str, Any]:
    """A small snapshot: replicas, each of the model that its name begins with, in these states."""
    found: list[dict[str, Any]] = [
        {
            "id": name,
            "model": name.rsplit("-", 1)[0],
            "host": f"on-{name}",
            "cards": [],
            "state": state,
            "event": None,
        }
        for name, state in replicas
    ]
    states: dict[str, list[str]] = {}
    for row in found:
        states.setdefault(row["model"], []).append(row["state"])
    models = [
        {"name": name, "replicas": len(all_), "ready": all_.count("ready")} for name, all_ in states.items()
    ]
    return {"replicas": found, "models": models, "gateway": "running"} | more


def parked(name: str) -> dict[str, Any]:
    return {"slots": [{"slot": name, "pool": "burst", "state": "parked", "machine": None}]}


def away(name: str, kind: str = "dead") -> dict[str, Any]:
    row = {"name": name, "reached": False, "error": "no route to host", "error_kind": kind, "next": "look"}
    return {"hosts": [row]}


VERDICTS: list[tuple[dict[str, Any], str, str, str, list[str]]] = [
    (rack(), "unknown", "No model is up", "", []),
    (rack(("a-0", "ready")), "good", "Every model answers", "", []),
    (rack(("a-0", "ready"), ("a-1", "asleep")), "good", "Every model answers", "", []),
    (rack(("a-0", "asleep")), "good", "Every model answers", "a sleeps and wakes when asked.", []),
    (rack(("a-0", "waking")), "wait", "a is waking", "", []),
    (rack(("a-0", "loading"), ("b-0", "ready")), "wait", "a is loading", "b answers.", []),
    (rack(("a-0", "unknown"), **parked("on-a-0")), "good", "Every model answers", "a has no machine: it is parked.", []),
    (rack(("a-0", "parked"), hosts=[away("on-a-0")["hosts"][0] | {"parked": True}]), "good", "Every model answers", "a has no machine: it is parked.", []),
    (rack(("a-0", "ready"), ("a-1", "loading")), "warn", "Every model answers, 1 thing to look at", "", ["a-1 loading"]),
    (rack(("a-0", "stopped")), "bad", "No model answers", "", ["a does not answer: stopped"]),
    (rack(("a-0", "stopped"), ("b-0", "ready")), "bad", "a does not answer", "b answers.", ["does not answer"]),
    (rack(("a-0", "unknown"), **away("on-a-0")), "bad", "No word from a", "", ["on-a-0 does not answer: no route"]),
    (rack(("a-0", "unknown"), **away("on-a-0", "unknown")), "unknown", "No word from a", "", ["it has a-0"]),
    (rack(("a-0", "ready"), gateway="stopped"), "bad", "The gateway is stopped", "", ["The gateway is stopped"]),
    (rack(("a-0", "unknown"), gateway="unknown"), "unknown", "No word from the gateway", "", ["The gateway", "a does not answer"]),
    (rack(("a-0", "ready, not routed")), "bad", "No model answers", "", ["a does not answer: ready, not routed"]),
]  # fmt: skip


def test_what_the_headline_says(browser: Browser, site: Site) -> None:
    opened(browser, site, world.calm())
    said = browser.driver.execute_async_script(
        """
        const [cases, done] = arguments;
        import('/hostler/static/facts.js').then(({ hold, troubles, verdict }) => done(cases.map((one) => {
          hold(one);
          const found = troubles();
          return [...verdict(found), found.map((row) => row.text)];
        })));
        """,
        [snapshot for snapshot, *_ in VERDICTS],
    )
    for (snapshot, tone, head, rest, texts), (own_tone, own_head, own_rest, own_texts) in zip(
        VERDICTS, said, strict=True
    ):
        assert (own_tone, own_head, own_rest) == (tone, head, rest), snapshot
        assert len(own_texts) == len(texts), own_texts
        assert all(text in own for text, own in zip(texts, own_texts, strict=True)), own_texts


def test_unknown_is_never_0(browser: Browser, site: Site) -> None:
    opened(browser, site, world.snapshot())
    for path, value, _form, _unit, text, _visible in browser.js(FACTS):
        assert (value == "null") == (text == "unknown") or path.endswith(("state", "gateway")), (
            path,
            value,
            text,
        )


def test_it_lives(browser: Browser, site: Site) -> None:
    before = opened(browser, site, world.calm())
    assert browser.text("h1") == "Every model answers"
    assert browser.js("return document.body.dataset.tone") == "good"
    browser.js("window.unchanged = document.querySelector('#cards table'); window.loaded = 1")
    after = site.put(world.snapshot(release=42))
    browser.shows(after)
    assert browser.text("h1") == "No word from embed"
    assert browser.js("return document.body.dataset.tone") == "bad"
    replicas = browser.js("return document.querySelector('[data-path=\"replicas.0.running\"]').dataset.value")
    assert replicas == str(after["replicas"][0]["running"])
    again = site.put(before | {"release": 43})
    browser.shows(again)
    assert browser.text("#attention") == ""
    assert browser.js(
        "return window.loaded === 1 && window.unchanged === document.querySelector('#cards table')"
    )


def test_readers_hear_only_what_is_new_and_keep_their_place(browser: Browser, site: Site) -> None:
    opened(browser, site, world.snapshot())
    button = browser.driver.find_element(By.CSS_SELECTOR, "#errors .copy")
    browser.js("arguments[0].focus()", button)
    browser.js("""
      window.heard = 0;
      const watch = new MutationObserver((changes) => { window.heard += changes.length; });
      for (const id of ['verdict', 'link-state']) {
        watch.observe(document.getElementById(id), { subtree: true, childList: true, characterData: true, attributes: true });
      }
    """)
    browser.wait(lambda: browser.text("#link-age") != "")
    browser.shows(site.put(world.snapshot(release=42, at=world.AT + 5)))
    assert browser.js("return window.heard") == 0
    assert browser.js("return document.activeElement === arguments[0]", button)
    assert browser.js("return document.querySelector('#verdict').getAttribute('aria-live')") == "polite"


def test_a_lost_connection_is_said_and_comes_back(browser: Browser, site: Site) -> None:
    now = datetime.now().timestamp()
    opened(browser, site, world.calm() | {"at": now})
    browser.wait(lambda: browser.text("#link-state") == "live")
    site.stop()
    browser.wait(lambda: browser.text("#link-state") == "connection lost")
    assert "last seen" in browser.text("#link-age")
    assert browser.text("#main")
    site.start()
    site.put(world.calm() | {"at": datetime.now().timestamp(), "release": 77})
    browser.wait(lambda: browser.text("#link-state") == "live")
    browser.wait(
        lambda: browser.js("return document.querySelector('[data-path=release]').dataset.value") == "77"
    )
    browser.wait(lambda: browser.said())  # the browser itself says that the server was away
    site.put(world.calm() | {"at": datetime.now().timestamp() - 3600, "release": 78})
    browser.wait(lambda: browser.text("#link-state") == "old data")


def test_who_leaves_is_forgotten(browser: Browser, site: Site) -> None:
    opened(browser, site, world.calm())
    browser.wait(lambda: site.board._waiting)
    browser.driver.get("about:blank")
    browser.wait(lambda: not site.board._waiting)


def test_before_the_first_look(browser: Browser, site: Site) -> None:
    browser.driver.get(f"{site.address}/hostler")
    browser.wait(lambda: browser.text("#link-state") == "waiting for a first look")
    browser.shows(site.put(world.calm()))


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_nothing_scrolls_sideways(browser: Browser, site: Site, name: str) -> None:
    opened(browser, site, SNAPSHOTS[name]())
    for width in (1280, 1025, 1024, 768, 360):
        browser.screen(width)
        browser.wait(lambda width=width: browser.js("return innerWidth") >= width)
        scrolls, over = browser.js(OVER, width)
        assert over == [], width
        assert scrolls <= width
        heads = browser.js("return getComputedStyle(document.querySelector('#cards thead')).position")
        assert heads == ("static" if width > 1024 else "absolute")


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_text_can_be_read_in_both_themes(browser: Browser, site: Site, name: str) -> None:
    opened(browser, site, SNAPSHOTS[name]())
    for scheme in ("dark", "light"):
        browser.screen(1280, scheme=scheme)
        browser.wait(lambda scheme=scheme: paper(browser) == scheme)
        browser.wait(lambda: not browser.js("return document.getAnimations().length"))
        assert browser.js(PALE) == [], scheme


def paper(browser: Browser) -> str:
    colour = str(browser.js("return getComputedStyle(document.body).backgroundColor"))
    first = int(colour.partition("(")[2].partition(",")[0])
    return "light" if first > 127 else "dark"


def test_the_switch_is_kept(browser: Browser, site: Site) -> None:
    opened(browser, site, world.calm())
    assert (browser.text("#theme"), paper(browser)) == ("Theme: auto", "light")
    button = browser.driver.find_element(By.ID, "theme")
    for words, seen in (("Theme: light", "light"), ("Theme: dark", "dark")):
        button.send_keys(Keys.ENTER)
        assert (browser.text("#theme"), paper(browser)) == (words, seen)
    browser.driver.refresh()
    browser.shows(world.calm())
    assert (browser.text("#theme"), paper(browser)) == ("Theme: dark", "dark")
    browser.js("localStorage.clear()")


def test_keys_and_screen_readers_find_their_way(browser: Browser, site: Site) -> None:
    opened(browser, site, world.snapshot())
    browser.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.js("return document.activeElement.className") == "skip"
    tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = [node.get("role", {}).get("value") for node in tree if not node.get("ignored")]
    for role in ("banner", "main", "contentinfo", "table", "rowheader", "columnheader", "region"):
        assert role in roles, role
    assert roles.count("heading") == 1 + roles.count("region")
    buttons = [node for node in tree if node.get("role", {}).get("value") == "button"]
    assert buttons
    assert all(node["name"]["value"] for node in buttons)
    browser.screen(360)
    tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    narrow = [node.get("role", {}).get("value") for node in tree if not node.get("ignored")]
    for role in ("table", "row", "rowheader", "columnheader", "cell"):
        assert narrow.count(role) > 0.5 * roles.count(role), (
            role
        )  # a card of a phone is a row of a table still


def test_states_have_a_shape_and_a_word(browser: Browser, site: Site) -> None:
    opened(browser, site, world.snapshot())
    states = browser.js("""
      return [...document.querySelectorAll('.state')].map((one) =>
        [one.querySelector('path').getAttribute('d'), one.textContent, getComputedStyle(one).color]);
    """)
    assert all(words for _, words, _ in states)
    assert len({shape for shape, _, _ in states}) >= 5
    shapes = {colour: {shape for shape, _, other in states if other == colour} for _, _, colour in states}
    assert sum(len(found) for found in shapes.values()) == len({shape for shape, _, _ in states})


def test_a_command_is_copied(browser: Browser, site: Site) -> None:
    opened(browser, site, world.snapshot())
    rights = {"origin": site.address, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    browser.driver.execute_cdp_cmd("Browser.grantPermissions", rights)
    browser.driver.find_element(By.CSS_SELECTOR, "#errors .copy").click()
    browser.wait(lambda: browser.text("#said") == f"Copied: {world.snapshot()['errors'][0]['next']}")
    browser.driver.execute_cdp_cmd("Browser.resetPermissions", {})


def test_data_stay_data(browser: Browser, site: Site) -> None:
    found = opened(browser, site, world.hostile())
    assert browser.js("return document.querySelectorAll('img, iframe, body script, main style').length") == 0
    assert (
        browser.js(
            "return [...document.querySelectorAll('*')].filter((one) => one.onerror || one.onload).length"
        )
        == 0
    )
    assert found["models"][0]["name"] in browser.text("#models")
    assert found["errors"][0]["text"] in browser.text("#errors")
    assert browser.js("return document.title") != "1"
    assert (
        browser.js("return document.querySelector('#errors .copy').dataset.copy")
        == found["errors"][0]["next"]
    )


def test_markup_of_data_is_refused_by_the_browser_itself(browser: Browser, site: Site) -> None:
    opened(browser, site, world.calm())
    refused = browser.js("""
      try { document.body.innerHTML = '<b>x</b>'; return false; } catch (error) { return error instanceof TypeError; }
    """)
    assert refused
    assert any("TrustedHTML" in line for line in browser.said())
