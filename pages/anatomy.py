"""Anatomy: the graph of a network, its layers and their cost, two networks side by side, families of them as papers
compare them, and their history."""

import streamlit as st

from app.markdown import as_literal
from app.pickers import bar, controls
from app.session import networks
from app.views.anatomy import results, views
from app.views.families import gates
from app.views.families.view import families

PAGE = {
    "title": "Anatomy",
    "address": "anatomy",
    "icon": ":material/account_tree:",
    "place": 110,
    "group": "Understand",
}

VIEWS = ["Graph", "Layers", "Profile", "Compare", "Families", "History"]

title = controls.heading("Anatomy")
row = bar.row()
with row:
    view = controls.bind_choice("View", "view", VIEWS)
network = controls.pick_network(title, gates.FIRST) if view == "Families" and gates.is_chosen() else None
if view != "Families":  # its tables are of networks of their own
    with bar.slot("network"):
        name = controls.pick_name(blocks=True)
    with bar.slot("layer"):
        st.caption(as_literal(results.caption(name)))
if view == "Families":
    families(network, row)
elif view == "History":
    views.history(row)
else:
    found = results.anatomy(name)
    if view == "Graph":
        views.graph(found, row)
    elif view == "Layers":
        views.layers(found, row)
    elif view == "Profile":
        views.profile(found, row)
    else:
        views.compare(found, row, networks.catalogue(blocks=True))
