"""A real headless Chromium, driven over its own debugging protocol."""

import asyncio
import base64
import itertools
import shutil
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from engine.settings import child_environment

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
)
WITHIN_S = 120
_WIDE = (1280, 900)


def chromium() -> str:
    """The browser of this machine. Without one a test is left out, but never in CI."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        missing = "no Chromium: install Debian's package chromium"
        if child_environment().get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


class Page:
    """One tab. What it says is read whenever it is asked something."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, pid: int) -> None:
        self._socket = socket
        self._pid = pid
        self._numbers = itertools.count(1)
        self._has_loaded = False
        self.complaints: list[str] = []
        """What the console shows as errors or warnings, scripts that failed included."""
        self.asked: list[str] = []
        """Addresses that the page asked for."""

    def _note(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Page.loadEventFired":
                self._has_loaded = True
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning", "assert"}:
                self.complaints.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(params["entry"]["text"])
            case "Page.javascriptDialogOpening":
                self.complaints.append(f"dialog: {params['message']}")
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])
            case _:
                pass

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while (said := await self._hear()).get("id") != number:
            pass
        assert "error" not in said, said["error"]
        return said["result"]

    async def _hear(self) -> dict[str, Any]:
        said = await self._socket.receive_json(timeout=WITHIN_S)
        if "method" in said:
            self._note(said["method"], said["params"])
        return said

    async def goto(self, url: str) -> None:
        self._has_loaded = False
        await self.call("Page.navigate", url=url)
        while not self._has_loaded:
            await self._hear()

    async def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever the script returns
        result = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, expression: str) -> None:
        """Return as soon as `expression` is true."""
        async with asyncio.timeout(WITHIN_S):
            while not await self.evaluate(f"!!({expression})"):
                await asyncio.sleep(0.02)

    def computed_s(self) -> float:
        """Seconds of the processor that the browser has taken, all its processes together."""
        first = psutil.Process(self._pid)
        return sum(_computed_s(each) for each in (first, *first.children(recursive=True)))

    async def type(self, selector: str, text: str) -> None:
        """Put `text` into a field as a person does."""
        await self.evaluate(f"document.querySelector({selector!r}).focus()")
        await self.call("Input.insertText", text=text)

    async def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    async def resize(self, width: int, height: int, *, is_dark: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def shown(self) -> str:
        """All text that is in sight, without the help of the page's scripts."""
        tree = await self.call("Accessibility.getFullAXTree")
        return "\n".join(
            node["name"]["value"]
            for node in tree["nodes"]
            if not node["ignored"] and isinstance(node.get("name", {}).get("value"), str)
        )

    async def screenshot(self, path: Path, *, is_whole: bool = False) -> None:
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(shot["data"]))


def _computed_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system + times.children_user + times.children_system


@asynccontextmanager
async def browser(folder: Path, *, has_scripts: bool = True) -> AsyncGenerator[Page]:
    """Start a browser of its own with one tab; `folder` holds its profile."""
    profile = folder / "profile"
    argv = (chromium(), *_FLAGS, f"--user-data-dir={profile}", "about:blank")
    process = await asyncio.create_subprocess_exec(*argv, stdout=DEVNULL, stderr=DEVNULL)
    try:
        port = await _port(profile)
        async with _tab(port, process.pid) as page:
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.call(f"{domain}.enable")
            await page.call("Emulation.setScriptExecutionDisabled", value=not has_scripts)
            await page.resize(*_WIDE)
            yield page
            await page.call("Browser.close")
    finally:
        await _ended(process)


async def _port(profile: Path) -> int:
    written = profile / "DevToolsActivePort"
    async with asyncio.timeout(WITHIN_S):
        while not (written.exists() and len(lines := written.read_text().splitlines()) > 1):
            await asyncio.sleep(0.02)
    return int(lines[0])


@asynccontextmanager
async def _tab(port: int, pid: int) -> AsyncGenerator[Page]:
    async with aiohttp.ClientSession() as client:
        async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
            tab = next(each for each in await answer.json() if each["type"] == "page")
        async with client.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            yield Page(socket, pid)


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(5):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
