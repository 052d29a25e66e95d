"""axe-core over every page: nothing that is serious or critical, be it ours or Streamlit's."""

from typing import Any

import pytest
from visitors import TITLES, Visitor

pytestmark = pytest.mark.browser
GRAVE = ("serious", "critical")


def problems(visitor: Visitor) -> list[str]:
    """What axe-core finds, "rule: element" each."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found: dict[str, Any] = axe.run(visitor.tab, options={"resultTypes": ["violations"]}).response
    return [
        f"{rule['id']}: {node['target']} {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for rule in found["violations"]
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("page", TITLES)
def test_axe_finds_no_serious_violation(visitor: Visitor, page: str):
    visitor.open(page, "net=lenet5" if page not in ("landscape", "playground") else "")
    visitor.sidebar.get_by_role("link").first.wait_for()
    visitor.until(lambda: visitor.tab.locator("[data-testid=stSkeleton]").count() == 0, "everything is drawn")
    visitor.settled()
    found = problems(visitor)
    for _ in range(3):  # what is being drawn anew is pale for a moment
        if found:
            visitor.tab.wait_for_timeout(1000)
            found = problems(visitor)
    assert found == []
