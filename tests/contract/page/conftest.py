"""The controller's page behind a real uvicorn on loopback, and a headless Chromium that can reach nothing else."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from hostler.controller.page.app import app
from hostler.controller.page.source import Board
from lab import machine
from worlds import page_world as world
from worlds.ports import free_port

LIMIT_S = 20
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # it runs as root here
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class Site:
    """A board, and the server in front of it, which can be stopped and started."""

    def __init__(self) -> None:
        self.board = Board()
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        config = uvicorn.Config(
            app(self.board),
            host="127.0.0.1",
            port=self.port,
            log_level="critical",
            timeout_graceful_shutdown=0,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()

    def put(self, snapshot: dict[str, Any]) -> dict[str, Any]:
        """As a browser is to find it."""
        self.board.put(snapshot, world.SERIES)
        return snapshot


class Browser:
    """What the tests ask of Chromium."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def js(self, script: str, *words: Any) -> Any:
        return self.driver.execute_script(script, *words)

    def wait(self, good: Callable[[], Any]) -> Any:
        """A script that a navigation ends is asked again."""
        passing = (IndexError, KeyError, WebDriverException)
        return WebDriverWait(self.driver, LIMIT_S, 0.05, passing).until(lambda _: good())

    def text(self, selector: str) -> str:
        return str(self.js("return document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def shows(self, snapshot: dict[str, Any]) -> None:
        """Waits until the page has drawn it."""
        release = str(snapshot["release"])
        self.wait(
            lambda: (
                self.js("return document.querySelector('#whose [data-path=release]')?.dataset.value")
                == release
            )
        )
        self.wait(lambda: self.text("#link-state") != "connecting")

    def screen(self, width: int, height: int = 800, *, scheme: str = "light") -> None:
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def said(self) -> list[str]:
        """What the console has, since it was asked last."""
        return [line["message"] for line in self.driver.get_log("browser")]

    def asked(self) -> set[str]:
        """Hosts and ports of all requests, since it was asked last."""
        lines = [json.loads(line["message"])["message"] for line in self.driver.get_log("performance")]
        urls = [x["params"]["request"]["url"] for x in lines if x["method"] == "Network.requestWillBeSent"]
        return {found[0] for url in urls if (found := re.match(r"[a-z]+://[^/]*", url))}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    machine.install(machine.BROWSER)
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield Browser(driver)
    driver.quit()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.stop()


@pytest.fixture
def browser(chromium: Browser, site: Site) -> Iterator[Browser]:
    """On an empty page, without what an earlier test left; afterwards nothing was said, and nobody else was asked."""
    chromium.driver.get("about:blank")
    chromium.screen(1280)
    chromium.said()
    chromium.asked()
    yield chromium
    assert chromium.said() == []
    assert chromium.asked() <= {site.address, "about:"}
    chromium.driver.get("about:blank")
