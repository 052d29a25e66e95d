"""A component's calls that come in the wrong order: the newest data stay until the last call that drew them goes."""

from typing import Any

import pytest

from app.components.newest import keep_newest

pytestmark = pytest.mark.browser
SCRIPT = """
function draw({ data, parentElement }) {
  parentElement.textContent = data.text
  return () => { parentElement.gone = (parentElement.gone || "") + data.text }
}
"""
CALLS = """async (script) => {
  const place = document.createElement("div")
  const module = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })))
  const call = (text, number) => module.default({ data: { text, number }, parentElement: place })
  const told = []
  const tell = () => told.push(`${place.textContent}, gone: ${place.gone || ""}`)
  const leave = [call("new", 8), call("old", 7)]
  tell()
  leave.push(call("newer", 9), call("newer", 9))  // a change of theme calls once more with the same data
  leave[0]()
  tell()
  leave[3]()  // the second call was the first to be drawn, and stays
  tell()
  leave[2]()
  tell()
  call("newer", 9)()  // drawn again, and gone again
  tell()
  return told
}"""


def test_older_data_that_come_late_are_not_drawn_and_the_newest_go_once(chromium: Any):
    page = chromium.new_page()
    assert page.evaluate(CALLS, keep_newest(SCRIPT)) == [
        "new, gone: ",
        "newer, gone: ",
        "newer, gone: ",
        "newer, gone: newer",
        "newer, gone: newernewer",
    ]
    page.close()
