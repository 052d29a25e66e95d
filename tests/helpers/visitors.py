"""The real app on a port of its own, and a visitor who clicks through it."""

import base64
import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakSet

import pytest

from app.shell.pages import list_pages

HOME = Path(__file__).resolve().parents[2] / "app" / "Home.py"
SCREEN = {"width": 1440, "height": 900}
PATIENCE = 90_000  # milliseconds; the machine may be busy
TITLES = {entry.address: entry.title for entry in list_pages()} | {"": "cnnviz: see what"}  # address: its heading
_GO = """url => new Promise((begun) => {  // until the script runs, which may be later than a moment on busy cores
  const app = document.querySelector("[data-testid=stApp]")
  const watch = new MutationObserver(() => app.dataset.testScriptState === "running" && end())
  const end = () => { watch.disconnect(); begun() }
  watch.observe(app, { attributeFilter: ["data-test-script-state"] })
  setTimeout(end, 3000)
  history.pushState(null, "", url)
  dispatchEvent(new PopStateEvent("popstate"))
})"""
_STILL = """({ quiet, patience }) => new Promise((ended) => {  // once the script has not run for `quiet` ms
  const app = document.querySelector("[data-testid=stApp]")
  let timer = 0
  const end = (well) => { watch.disconnect(); clearTimeout(timer); clearTimeout(late); ended(well) }
  const look = () => {
    clearTimeout(timer)
    if (app.dataset.testScriptState === "notRunning") timer = setTimeout(end, quiet, true)
  }
  const watch = new MutationObserver(look), late = setTimeout(end, patience, false)
  watch.observe(app, { attributeFilter: ["data-test-script-state"] })
  look()
})"""
_BEGINS, _DRAWN = 350, 150  # milliseconds until a run that was asked for has begun, and until a page is painted
_PROBES = re.compile(r"/[\w-]+/_stcore/(health|host-config)$")  # Streamlit looks for its base path below the page


@contextlib.contextmanager
def serving(cache: Path, folder: Path) -> Iterator[str]:
    """`streamlit run` on a free port, started in `folder`; yields its address and ends it the hard way."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(HOME), "--server.headless=true", f"--server.port={port}"]
    environment = {**os.environ, "CNNVIZ_CACHE": str(cache)}
    with open(folder / f"server-{port}.log", "w", encoding="utf-8") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait(30)


def _wait_for(address: str, server: subprocess.Popen) -> None:
    until = time.monotonic() + PATIENCE / 1000
    while server.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.1)
    pytest.fail(f"The server did not answer at {address}; its exit code is {server.poll()}.")


class Visitor:
    """One browser context with one tab, and everything that went wrong in it."""

    alive: ClassVar[WeakSet["Visitor"]] = WeakSet()

    def __init__(self, browser: Any, address: str, context: Any = None) -> None:
        self.address, self.wrong = address, []
        self.alive.add(self)
        self.context = context or browser.new_context(viewport=SCREEN)
        self.context.set_default_timeout(PATIENCE)
        self.tab = self.context.new_page()
        self.tab.on("console", self._console)
        self.tab.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.tab.on("request", self._request)

    def describe(self) -> str:
        """Address, state, faults and text of the tab, for whoever reads why a test failed."""
        if self.tab.is_closed():
            return "a closed tab"
        state = self.tab.locator("[data-testid=stApp]").get_attribute("data-test-script-state")
        text = re.sub(r"\s+", " ", self.tab.locator("[data-testid=stMain], body").last.inner_text())
        return f"{self.tab.url} ({state}), {self.wrong}: {text[:1500]}"

    def forget(self) -> None:
        """Leave nothing behind in the browser, and the tab as a new one is."""
        self.tab.evaluate("() => { localStorage.clear(); sessionStorage.clear(); document.activeElement?.blur() }")
        self.context.clear_permissions()
        self.tab.mouse.move(0, 0)
        self.tab.emulate_media(color_scheme="light")
        self.tab.set_viewport_size(SCREEN)
        self.wrong.clear()

    def leave(self) -> None:
        """Close the tab, and leave nothing behind in the browser."""
        self.forget()
        self.context.clear_cookies()
        self.tab.close()

    def _console(self, message: Any) -> None:
        asked = message.location.get("url", "")
        if message.type == "error" and not _PROBES.search(asked):
            self.wrong.append(f"console: {message.text} {asked}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.address, self.address.replace("http", "ws"), "data:", "blob:")):
            self.wrong.append(f"request: {request.url}")

    def open(self, page: str, query: str = "", anew: bool = False) -> None:
        """A page by its address. Where the app is open in the tab it goes there as the browser's Back does, which
        spares loading it, unless it shall be loaded `anew`."""
        url = f"{self.address}/{page}{'?' + query if query else ''}"
        if anew or not self.tab.url.startswith(self.address):
            self.tab.goto(url)
        else:
            self.tab.evaluate(_GO, url)
        self.arrived(page)

    def go(self, page: str) -> None:
        """A page by its link in the sidebar."""
        label = {"": "Home", **{k: v for k, v in TITLES.items() if k}}[page]
        self.sidebar.get_by_role("link", name=label, exact=True).click()
        self.arrived(page)

    def arrived(self, page: str) -> None:
        self.tab.locator("h1", has_text=TITLES[page]).wait_for()
        self.settled(_DRAWN)

    def settled(self, quiet: int = _BEGINS) -> None:
        """The script has ended and stays ended. `quiet`: for so many milliseconds; less where it has begun for sure."""
        still = self.tab.evaluate(_STILL, {"quiet": quiet, "patience": PATIENCE})
        assert still, f"the script does not end; the page is {self.tab.url}"

    def press(self, *keys: str) -> None:
        """Keys that the app answers, once it listens and no list stands open above the page."""
        self.tab.wait_for_function("() => window.cnnvizKeys?.listening && !document.querySelector('[role=listbox]')")
        for key in keys:
            self.tab.keyboard.press(key)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until a condition of the page holds."""
        end = time.monotonic() + PATIENCE / 1000
        while not holds():
            assert time.monotonic() < end, f"{what}; the page is {self.tab.url}"
            self.tab.wait_for_timeout(60)

    def until_query(self, **wanted: str | None) -> None:
        """The URL carries these choices, or None for none, and the page they ask for is drawn."""
        self.until(lambda: all(self.query().get(key) == value for key, value in wanted.items()), f"URL with {wanted}")
        self.settled(_DRAWN)

    def until_chosen(self, label: str, value: str) -> None:
        """A picker shows `value`, which it does a moment after the URL."""
        self.until(lambda: self.chosen(label) == value, f"{label} is {self.chosen(label)!r}, not {value!r}")

    @property
    def sidebar(self) -> Any:
        return self.tab.locator("[data-testid=stSidebar]")

    @property
    def bar(self) -> Any:
        """What the page looks at: image, network, weights, layer, channel, unit; and the page's own controls."""
        return self.tab.locator(".st-key-cnnviz_bar, .st-key-cnnviz_row, .st-key-unit_choices")

    @property
    def main(self) -> Any:
        return self.tab.locator("[data-testid=stMain]")

    @property
    def window(self) -> Any:
        """The dialog above the page."""
        return self.tab.locator("[role=dialog]")

    def pick(self, label: str, option: str) -> None:
        """One option of several that stand side by side."""
        self.main.get_by_role("radiogroup", name=label).get_by_text(option, exact=True).click()

    def picture(self, alt: str) -> Any:
        """A clickable picture, or a wall of tiles, by the beginning of its description."""
        return self.tab.locator(f"img[alt^='{alt}'], canvas[data-stamp][aria-label^='{alt}']")

    def choose(self, where: Any, label: str, option: str) -> None:
        """An option of a list that opens; done when the picker shows it."""
        picker = where.get_by_role("combobox", name=label, exact=True).first
        picker.scroll_into_view_if_needed()
        self.box(picker)  # a list that has opened closes when the page is moved
        picker.click()
        picker.fill(option)  # fewer options: none has to be moved to
        self.tab.get_by_role("option", name=option, exact=True).click()
        self.until(lambda: picker.input_value() == option, f"{label} shows {picker.input_value()!r}, not {option!r}")

    def choose_layer(self, name: str, label: str = "Layer") -> None:
        """A layer of the strip in the bar; done when it shows it."""
        self.bar.get_by_label(label, exact=True).select_option(name)
        self.until_chosen(label, name)

    def cards(self, label: str) -> Any:
        """The button of a picker of cards, which shows what is chosen."""
        return self.tab.locator(f"button.chosen[data-label='{label}']")

    def open_cards(self, label: str) -> Any:
        """Open a picker of cards; returns its panel."""
        button = self.cards(label)
        self.box(button)
        if button.get_attribute("aria-expanded") != "true":
            button.click()
        panel = self.tab.get_by_role("dialog", name=label, exact=True)
        panel.wait_for()
        return panel

    def choose_card(self, label: str, value: str) -> None:
        """Choose a card by its value; done when the picker shows it, and the page with it."""
        panel = self.open_cards(label)
        panel.locator(f"[role=option][data-value='{value}']").click()
        self.until_chosen(label, value)
        self.settled()

    def choose_network(self, name: str) -> None:
        """A network by its name."""
        self.choose_card("Network", name)

    def choose_image(self, name: str) -> None:
        """A photograph by its name, an upload by "upload-<hash>"."""
        self.choose_card("Image", name)

    def drop_on_page(self, *files: tuple[str, bytes, str], at: str = "[data-testid=stMain]") -> None:
        """Drop files (name, data, kind) on the middle of an element."""
        listed = [[name, base64.b64encode(data).decode(), kind] for name, data, kind in files]
        self.tab.locator(at).first.evaluate(
            """(element, files) => {
              const dataTransfer = new DataTransfer()
              for (const [name, text, type] of files) {
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
                dataTransfer.items.add(new File([bytes], name, { type }))
              }
              const like = { bubbles: true, cancelable: true, composed: true, dataTransfer }
              for (const kind of ["dragenter", "dragover", "drop"]) element.dispatchEvent(new DragEvent(kind, like))
            }""",
            listed,
        )

    def drawing(self, alt: str) -> Any:
        """A drawing by the beginning of its description."""
        return self.tab.locator(f"svg[aria-label^='{alt}']")

    def box(self, drawn: Any) -> dict[str, float]:
        """Where an element stands, once it stands still: a page being drawn anew has none, or the old one beside the
        new, for a moment."""
        seen: list[dict[str, float] | None] = [None]

        def still() -> bool:
            seen.append(drawn.bounding_box() if drawn.count() == 1 else None)
            return seen[-1] is not None and seen[-1] == seen[-2]

        self.until(still, "an element stands still")
        return seen[-1]

    def source(self, alt: str) -> str:
        """What a picture shows, as a string that is another for other pixels."""
        shown = self.picture(alt).first
        shown.wait_for()
        return shown.get_attribute("src") or shown.get_attribute("data-stamp")

    def tile(self, alt: str, number: int) -> tuple[float, float, float, float]:
        """(left, top, width, height) of a tile of a wall, the first being 0, in pixels of the picture."""
        found = self.picture(alt).evaluate("wall => ({ ...wall.dataset })")
        row, column = divmod(number, int(found["columns"]))
        left, top = 3 + column * float(found["pitch"]), 3 + row * float(found["line"])
        return left, top, float(found["wide"]), float(found["high"])

    def click_tile(self, alt: str, number: int, across: float = 0.5, down: float = 0.5) -> None:
        """Click into a tile that is in sight, at a share of its width and height."""
        self.box(self.picture(alt))
        left, top, width, height = self.tile(alt, number)
        self.picture(alt).click(position={"x": left + across * width, "y": top + down * height})

    def drop(self, where: Any, name: str, data: bytes, kind: str = "application/octet-stream") -> None:
        """Give a file to the place for files that lies in `where`."""
        # that of images, in the bar, stands first
        place = where.locator("[data-testid=stFileUploader] input[type=file]").last
        place.set_input_files({"name": name, "mimeType": kind, "buffer": data})

    def download(self, button: Any) -> tuple[str, bytes]:
        """Click, and take what comes: (file name, content)."""
        with self.tab.expect_download(timeout=PATIENCE) as coming:
            button.click()
        return coming.value.suggested_filename, Path(coming.value.path()).read_bytes()

    def fits(self) -> bool:
        """Nothing of the page reaches beyond the right edge."""
        block = "document.querySelector('[data-testid=stMain]')"
        page = "document.documentElement.scrollWidth <= innerWidth"
        return self.tab.evaluate(f"{page} && {block}.scrollWidth <= {block}.clientWidth")

    def readable(self, button: Any) -> bool:
        """No letter of a button is cut off."""
        return button.evaluate("e => [e, ...e.querySelectorAll('*')].every(x => x.scrollWidth <= x.clientWidth + 1)")

    def chosen(self, label: str) -> str:
        """What a picker shows: of cards the value, of others the text."""
        if label in ("Network", "Image"):
            return self.cards(label).get_attribute("data-value")
        return self.bar.get_by_label(label).first.input_value()

    def query(self) -> dict[str, str]:
        from urllib.parse import parse_qsl, urlsplit

        return dict(parse_qsl(urlsplit(self.tab.url).query))
