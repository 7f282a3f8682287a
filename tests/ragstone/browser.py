"""A browser without a window, for tests of the console: Chromium, spoken to by its DevTools protocol over a pipe."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_PATIENCE_S = 30.0
# The browser reads its orders from the file descriptor 3 and answers to 4.
_ONTO_3_AND_4 = """
import fcntl, os, sys
orders, answers = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(orders, 3); os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """One page. Dialogs are answered at once by `says_yes`, and kept in `asked`; faults of the page in `faults`."""

    def __init__(self, orders: int, answers: int) -> None:
        self._orders, self._answers = orders, answers
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self.asked: list[str] = []
        self.says_yes = True
        self.faults: list[str] = []
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> Any:
        """Has the browser do something, and returns its result."""
        number = self._send(method, parameters)
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            message = self._next(deadline)
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._notice(message)

    def js(self, expression: str) -> Any:
        """The value of an expression of JavaScript; a promise is waited for."""
        found = self.do("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, f"{expression}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def open(self, url: str) -> None:
        self.do("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def until(self, expression: str) -> None:
        """Waits until an expression holds."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self.js(f"Boolean({expression})"):
            assert time.monotonic() < deadline, f"never came true: {expression}\n{self.js('document.body.innerText')}"
            time.sleep(0.05)

    def sees(self, text: str, within: str = "body") -> None:
        """Waits until a text can be seen within the elements of a selector."""
        spot = f"[...document.querySelectorAll({json.dumps(within)})].map((its) => its.innerText).join()"
        self.until(f"{spot}.includes({json.dumps(text)})")

    def press(self, label: str, within: str = "body") -> None:
        """Presses a button or link that can be seen by what assistive programs call it, once it is there."""
        named = f"(its) => (its.ariaLabel ?? its.textContent).trim() === {json.dumps(label)} && its.checkVisibility()"
        there = f"[...document.querySelectorAll('{within} :is(button, a, summary)')].find({named})"
        self.until(there)
        self.js(f"{there}.click()")

    def open_view(self, name: str) -> None:
        """Opens a view of the console: ask, quarantine, sources or jobs."""
        self.js(f"location.hash = '#/{name}'")
        self.until(f"document.getElementById('view-{name}').checkVisibility()")

    def fill_in(self, selector: str, value: str) -> None:
        chosen = json.dumps(selector)
        self.until(f"document.querySelector({chosen})")
        self.js(
            f"{{ const its = document.querySelector({chosen}); its.value = {json.dumps(value)}; "
            "its.dispatchEvent(new Event('change')); }"
        )

    def upload(self, files: Mapping[str, bytes]) -> None:
        """Chooses files by their names, as somebody would in the browser's dialog."""
        bytes_of = "(text) => Uint8Array.from(atob(text), (its) => its.charCodeAt(0))"
        given = json.dumps([[name, base64.b64encode(data).decode()] for name, data in files.items()])
        self.js(f"""{{ const chosen = new DataTransfer(), bytesOf = {bytes_of};
            for (const [name, text] of {given}) chosen.items.add(new File([bytesOf(text)], name));
            document.getElementById("files").files = chosen.files;
            document.getElementById("files").dispatchEvent(new Event("change")); }}""")

    def narrow(self, width: int) -> None:
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)

    def picture(self, file: Path, width: int, *, dark: bool = False) -> None:
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.do("Emulation.setEmulatedMedia", features=scheme)
        self.narrow(width)
        shot = self.do("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def _send(self, method: str, parameters: dict[str, Any]) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._orders, json.dumps(message).encode() + b"\0")
        return self._number

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the browser said nothing for {_PATIENCE_S:.0f} s"
            got = os.read(self._answers, 1 << 20)
            assert got, "the browser has ended"
            self._rest += got
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _notice(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        if message.get("method") == "Page.javascriptDialogOpening":
            self.asked.append(parameters["message"])
            self._send("Page.handleJavaScriptDialog", {"accept": self.says_yes})
        elif message.get("method") == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(parameters["exceptionDetails"]))
        elif message.get("method") == "Log.entryAdded" and parameters["entry"]["source"] != "network":
            self.faults.append(parameters["entry"]["text"])


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """A page of a browser of its own, which ends with it. Needs PROGRAM."""
    assert PROGRAM is not None
    read_orders, orders = os.pipe()
    answers, write_answers = os.pipe()
    options = [
        "--headless=new",
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
        "--no-first-run",
        "--disable-gpu",
    ]
    options += ["--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions", "--lang=en"]
    options += ["--hide-scrollbars"]
    options += ["--no-sandbox"] if os.geteuid() == 0 else []  # root has none
    trampoline = [sys.executable, "-c", _ONTO_3_AND_4, str(read_orders), str(write_answers)]
    process = subprocess.Popen(
        [*trampoline, PROGRAM, *options], pass_fds=(read_orders, write_answers), stderr=subprocess.DEVNULL
    )
    os.close(read_orders)
    os.close(write_answers)
    try:
        yield Page(orders, answers)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(orders)
        os.close(answers)
