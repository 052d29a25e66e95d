"""Without a mouse: every page is reached, and its controls are worked, by the keyboard alone."""

from collections.abc import Callable

import pytest
from visitors import TITLES, Visitor

pytestmark = pytest.mark.browser
FOCUSED = """
() => {
  let e = document.activeElement
  while (e.shadowRoot?.activeElement) e = e.shadowRoot.activeElement  // within a component of our own
  return [e.getAttribute("role") || e.localName, e.getAttribute("aria-label") || e.textContent]
}
"""


def tab_to(someone: Visitor, kind: str, name: str, most: int = 90) -> None:
    """Tab until the focus is on the element of this role, or tag, whose name contains `name`."""
    for _ in range(most):
        someone.tab.keyboard.press("Tab")
        role, said = someone.tab.evaluate(FOCUSED)
        if role == kind and name in said:
            return
    pytest.fail(f"{most} times Tab did not reach {name!r}; the focus is on {someone.tab.evaluate(FOCUSED)}")


def press(someone: Visitor, *names: str) -> None:
    for name in names:
        someone.tab.keyboard.press(name)


def until_told(someone: Visitor, key: str, value: str) -> None:
    someone.until(lambda: someone.query().get(key) == value, f"{key} is {value} in the URL")


def test_every_page_is_reached_by_tab_and_enter_and_three_are_worked(visitor: Visitor):
    def playground() -> None:
        tab_to(visitor, "input", "Step")
        press(visitor, "ArrowRight")
        until_told(visitor, "step", "2")
        visitor.drawing("Step 2 of").wait_for()

    def maps() -> None:
        tab_to(visitor, "select", "Layer")
        press(visitor, "ArrowDown")
        visitor.until(lambda: "layer" in visitor.query(), "another layer")
        visitor.picture(f"Feature maps of {visitor.query()['layer']}").wait_for()

    def shifts() -> None:
        tab_to(visitor, "input", "Right [pixels]")
        press(visitor, "ArrowUp")
        until_told(visitor, "dx", "2")

    work: dict[str, Callable[[], None]] = {"playground": playground, "feature-maps": maps, "equivariance": shifts}
    visitor.open("", "net=lenet5")
    for page in list(TITLES)[1:]:
        tab_to(visitor, "a", TITLES[page])
        if page in work:
            press(visitor, "Enter")
            visitor.arrived(page)
            work[page]()
            press(visitor, "Escape")
    assert visitor.query()["net"] == "lenet5"
