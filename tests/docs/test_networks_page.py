"""docs/networks.md names networks that the catalogue has."""

import re

from docpages import ROOT

import cnnviz


def test_every_network_in_the_table_of_families_can_be_built():
    text = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| Family \| Names \|\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([a-z]\w+)`", table))
    assert len(named) > 60
    assert named <= set(cnnviz.architectures())
