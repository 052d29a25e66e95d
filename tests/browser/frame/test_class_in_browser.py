"""A class in real browsers: the lecturer steps a tour by keyboard alone, a student's browser goes along."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from visitors import PATIENCE, Visitor

pytestmark = pytest.mark.browser
TOUR = """
title: Three stops
stops:
  - {page: playground, title: The first, notes: Look.}
  - {page: playground, query: {view: Matrix}, title: The second}
  - {page: filters, query: {net: lenet5, unit: 2}, title: The third}
"""


@pytest.fixture(scope="module")
def lesson(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """`cnnviz class` at work: (the students' address, the lecturer's link)."""
    folder = tmp_path_factory.mktemp("class")
    (folder / "three.yaml").write_text(TOUR)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cnnviz", "class", "--host", "127.0.0.1", "--port", str(port), "--tour", "three"]
    environment = {**os.environ, "CNNVIZ_CACHE": str(folder / "cache"), "CNNVIZ_TOURS": str(folder)}
    environment["CNNVIZ_RUNS"] = str(folder / "runs")
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True) as started:
        try:
            found: dict[str, str] = {}
            for line in started.stdout:
                found |= dict(re.findall(r"^  (Students|Lecturer):\s+(\S+)$", line))
                if line.startswith("Ctrl+C"):
                    break
            assert set(found) == {"Students", "Lecturer"}, f"the class ended with {started.poll()}"
            yield found["Students"], found["Lecturer"]
        finally:
            started.terminate()
            started.wait(60)


def here(someone: Visitor) -> None:
    """The page is drawn, and its frame with it."""
    someone.tab.locator("h1").wait_for()
    someone.settled()


def test_a_tour_is_stepped_by_keyboard_alone_and_a_student_goes_along(chromium: Any, lesson: tuple[str, str]):
    address, link = lesson
    token = link.partition("#lecturer=")[2]
    lecturer, student = Visitor(chromium, address), Visitor(chromium, address)
    shown: list[str] = []
    lecturer.tab.on("framenavigated", lambda frame: shown.append(frame.url))
    lecturer.tab.goto(link)
    here(lecturer)
    lecturer.until_query(tour="three", stop="1")
    lecturer.sidebar.get_by_text("Students follow me").wait_for()
    assert token not in lecturer.tab.url and [url for url in shown if token in url] == [link]
    student.tab.goto(address)
    here(student)
    student.until(lambda: student.query().get("stop") == "1", "the student is at the first stop")
    student.tab.get_by_text("The first").wait_for()
    assert student.tab.get_by_role("button", name="Next").count() == 0  # led

    lecturer.press("f")
    lecturer.until(lambda: not lecturer.sidebar.is_visible(), "presenter mode hides the sidebar")
    lecturer.press("PageDown")  # at once
    lecturer.until_query(stop="2", view="Matrix", present="True")
    student.until(lambda: student.query().get("view") == "Matrix", "the student sees the matrix")
    assert "present" not in student.query() and student.sidebar.is_visible()
    lecturer.press("n")
    lecturer.tab.locator("h1", has_text="First-layer filters").wait_for()
    lecturer.until_query(stop="3", unit="2")
    student.tab.locator("h1", has_text="First-layer filters").wait_for()
    student.until(lambda: student.query().get("unit") == "2", "the student sees the unit")
    lecturer.press("u")
    lecturer.until_query(unit="3")
    student.until(lambda: student.query().get("unit") == "3", "the student sees the next channel")

    lecturer.press("?")
    lecturer.tab.get_by_role("heading", name="Keys").wait_for()
    lecturer.press("n")  # the overlay is in front
    lecturer.press("Escape", "Escape")  # the second may come while the overlay, closed, still has the focus
    lecturer.tab.get_by_role("heading", name="Keys").wait_for(state="hidden")
    assert lecturer.query()["stop"] == "3"
    lecturer.until(lecturer.sidebar.is_visible, "Escape leaves presenter mode")
    lecturer.until_query(present=None, unit="3")
    lecturer.tab.reload()
    here(lecturer)
    lecturer.sidebar.get_by_text("Students follow me").wait_for()  # the tab remembers its role

    student.sidebar.get_by_text("Follow the lecturer").click()
    student.settled()
    lecturer.press("p")
    lecturer.until_query(stop="2")
    student.tab.wait_for_timeout(1800)
    assert student.query()["stop"] == "3"
    student.sidebar.get_by_text("Follow the lecturer").click()
    student.until(lambda: student.query().get("stop") == "2", "the student is back")

    lecturer.open("training", "view=Train&train_epochs=200&batch_size=8")  # trains before the class
    lecturer.main.get_by_role("button", name="Start", exact=True).click()
    told = re.compile(r"running, epoch \d+ of 200")
    for someone in (lecturer, student):
        someone.main.get_by_text(told).first.wait_for()
        someone.main.locator("path.js-line").first.wait_for(state="attached")
    buttons = [student.main.get_by_role("button", name=name, exact=True).first for name in ("Start", "Pause", "Stop")]
    assert not any(button.is_enabled() for button in buttons)
    lecturer.main.get_by_role("button", name="Stop", exact=True).click()
    for someone in (lecturer, student):
        someone.main.get_by_text(re.compile("lenet5-digits-1: stopped")).first.wait_for()
    lecturer.open("training", "runs=lenet5-digits-1&moment=0")
    student.until(lambda: student.query() == lecturer.query(), "the student sees its curves at the same moment")
    lecturer.tab.locator(".st-key-cnnviz_panel").get_by_role("link", name="Feature maps").click()
    lecturer.arrived("feature-maps")
    student.tab.locator("h1", has_text="Feature maps").wait_for()
    student.until(lambda: student.query().get("weights") == "run:lenet5-digits-1@0", "and its maps before training")
    student.picture("Feature maps of").first.wait_for()
    for someone in (lecturer, student):
        someone.context.close()
        assert someone.wrong == []


def test_keys_do_nothing_while_someone_types_and_quick_presses_all_count(visitor: Visitor):
    visitor.open("filters", "net=lenet5")
    panel = visitor.open_cards("Network")
    visitor.tab.keyboard.type("ufn")
    visitor.tab.wait_for_timeout(300)
    assert visitor.query() == {"net": "lenet5"}
    visitor.tab.keyboard.press("Escape")
    panel.wait_for(state="detached")
    visitor.press("u", "u", "u", "u")
    visitor.until_query(unit="4")
    visitor.press("Shift+U")
    visitor.until_query(unit="3")
    visitor.press("Control+u")
    visitor.press("g")
    visitor.tab.locator("h1", has_text="Feature maps").wait_for(timeout=PATIENCE)
    visitor.settled()


@pytest.mark.own_tab
def test_a_press_whose_message_is_lost_counts_once(visitor: Visitor):
    lost: list[bytes] = []

    def lose_the_first(route: Any) -> None:
        server = route.connect_to_server()

        def pass_on(message: Any) -> None:
            if isinstance(message, bytes) and b"unit +1" in message and len(lost) < 2:
                lost.append(message)
            else:
                server.send(message)

        route.on_message(pass_on)

    visitor.tab.route_web_socket("**/_stcore/stream", lose_the_first)
    visitor.open("filters", "net=lenet5")
    visitor.press("u")
    visitor.until_query(unit="1")
    assert len(lost) == 2  # the press, and the first time that it was said again
    visitor.tab.wait_for_timeout(1600)
    assert visitor.query()["unit"] == "1"
