"""A component's calls that come in the wrong order: the newest data stay, and are cleaned up once."""

from typing import Any

import pytest

from app.components.newest import in_order

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
  const leave = [call("new", 8), call("old", 7)]
  const shown = [place.textContent]
  leave.push(call("newer", 9), call("newer", 9))  // a change of theme calls once more with the same data
  shown.push(place.textContent)
  for (const one of leave) if (one) one()
  return [...shown, place.gone]
}"""


def test_older_data_that_come_late_are_not_drawn(chromium: Any):
    page = chromium.new_page()
    assert page.evaluate(CALLS, in_order(SCRIPT)) == ["new", "newer", "newernewer"]
    page.close()
