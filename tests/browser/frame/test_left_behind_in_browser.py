"""While another scene is drawn, what is left of the one before is pale, and nothing else is."""

import pytest
from visitors import Visitor

pytestmark = pytest.mark.browser
_PALE = """(changed) => {
  const scene = document.querySelector(".st-key-cnnviz_scene"), page = document.querySelector(".st-key-cnnviz_page")
  const old = page.querySelector("[data-testid=stElementContainer]")
  if (changed) scene.insertAdjacentHTML("beforeend", `<i data-cnnviz-changed="${changed}"></i>`)
  old.dataset.stale = "true"
  old.getAnimations().forEach((one) => one.finish())
  const { opacity } = getComputedStyle(old)
  scene.querySelector("[data-cnnviz-changed]")?.remove()
  old.dataset.stale = "false"
  return Number(opacity)
}"""


def test_what_is_left_of_another_subject_is_pale_and_only_then(visitor: Visitor):
    visitor.open("filters", "net=lenet5&unit=1")
    visitor.settled()
    assert visitor.tab.evaluate(_PALE, "subject") == 0.25
    assert visitor.tab.evaluate(_PALE, None) > 0.3
