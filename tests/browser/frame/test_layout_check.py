"""The measure of cut and overlapping words, on a page whose faults are known."""

from typing import Any

import pytest
from browser_layout import faults_of_layout

pytestmark = pytest.mark.browser
PAGE = """
<section data-testid="stMain" style="position: relative; font: 16px/20px sans-serif; width: 400px">
  <p>A sentence that has <b>room</b> and <code>may</code> wrap into as many lines as it takes in this column.</p>
  <div style="overflow: auto; height: 30px">What scrolls<br>is not<br>hidden</div>
  <div style="width: 60px; overflow: hidden; white-space: nowrap; text-overflow: ellipsis" title="all of it">with a
    title this may end</div>
  <svg width="300" height="40"><text x="0" y="20">in a</text><text x="5" y="22">picture</text></svg>
  <label style="position: absolute; width: 1px; height: 1px; overflow: hidden">for screen readers</label>
  <details><summary>More</summary><p style="margin-top: -30px">closed</p></details>
  <div id="place"></div>
</section>
"""
FAULTS = {
    "wide": ('<div style="width: 60px; overflow: hidden; white-space: nowrap">much too long a line</div>', "its width"),
    "high": ('<div style="height: 20px; overflow: hidden">a line<br>another</div>', "its height"),
    "field": ('<input style="width: 50px" value="predicted: Egyptian cat">', "in <input predicted: Egyptian cat>"),
    "over": ('<p>below</p><p style="margin-top: -30px">above</p>', '"below" and "above" share'),
    "button": ('<p>Choose</p><button style="position: absolute; left: 0; bottom: 20px">Go</button>', "<button Go>"),
}


def test_each_fault_is_found_and_what_is_meant_so_is_none(chromium: Any):
    tab = chromium.new_page()
    tab.set_content(PAGE)
    assert faults_of_layout(tab) == []
    for name, (html, told) in FAULTS.items():
        tab.evaluate("html => { document.querySelector('#place').innerHTML = html }", html)
        found = faults_of_layout(tab)
        assert len(found) == 1 and told in found[0], (name, found)
    tab.close()
