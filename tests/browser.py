"""A page in Debian's chromium, headless, spoken to through its debugging pipe."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One page. Use it in a `with`."""

    def __init__(self, width: int = 1600, height: int = 1400):
        self.profile = tempfile.TemporaryDirectory(prefix="chromium-")
        (down, self.out), (self.into, up) = os.pipe(), os.pipe()

        def pipes() -> None:  # chromium reads from descriptor 3 and writes to 4
            for target, source in ((3, fcntl.fcntl(down, fcntl.F_DUPFD, 10)), (4, fcntl.fcntl(up, fcntl.F_DUPFD, 10))):
                os.dup2(source, target)

        self.process = subprocess.Popen(
            [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--disable-component-update", "--no-first-run", "--hide-scrollbars",
             f"--user-data-dir={self.profile.name}", f"--window-size={width},{height}", "--remote-debugging-pipe",
             "about:blank"],
            preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(down)
        os.close(up)
        self.number, self.pending, self.session = 0, b"", None
        page = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_) -> None:
        for pipe in (self.out, self.into):
            os.close(pipe)
        self.process.terminate()
        self.process.wait(20)
        for _ in range(40):  # its children may still write there
            shutil.rmtree(self.profile.name, ignore_errors=True)
            if not Path(self.profile.name).exists():
                break
            time.sleep(0.1)
        self.profile.cleanup()

    def open(self, address: str) -> None:
        """Goes to an address."""
        self.ask("Page.navigate", url=address)

    def evaluate(self, expression: str):
        """The value of a JavaScript expression."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def text(self) -> str:
        """What a person can read, and the words in pictures drawn as SVG."""
        return self.evaluate("document.body.innerText + '\\n' + [...document.querySelectorAll('svg text')].map(t => "
                             "t.textContent).join('\\n')") or ""

    def wait_for(self, *words: str, seconds: float = 60) -> str:
        """The page's text as soon as all the words are there; AssertionError, with the text, if that takes too long."""
        until = time.monotonic() + seconds
        while missing := [word for word in words if word not in (text := self.text())]:
            assert time.monotonic() < until, f"the page never said {missing}:\n{text}"
            time.sleep(0.25)
        return text

    def picture(self, path: Path) -> None:
        """Saves what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def ask(self, method: str, **parameters):
        """Calls a method of the debugging protocol and returns its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters} | (
            {"sessionId": self.session} if self.session else {})
        os.write(self.out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            head, end, rest = self.pending.partition(b"\0")
            if end:
                self.pending = rest
                found = json.loads(head)
                if found.get("id") == self.number:
                    assert "error" not in found, found["error"]
                    return found["result"]
            elif select.select([self.into], [], [], 1)[0]:
                self.pending += os.read(self.into, 1 << 20)
        raise AssertionError(f"chromium did not answer {method}")
