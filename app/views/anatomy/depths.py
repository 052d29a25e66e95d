"""Two charts of the history: the ranking of ILSVRC-2012, and the depth of networks to scale."""

from __future__ import annotations

import streamlit as st

from app.views.families import results
from cnnviz.figures.anatomy.depth import depth_scene, ranking_scene


def ranking() -> None:
    """One deep network against hand-made features."""
    from cnnviz.studies.anatomy.history import ranking_2012

    teams = ranking_2012()
    scene = results.show(lambda width: ranking_scene(teams, width), "The ranking of ILSVRC-2012", "ranking_2012")
    first, second = teams[0].error, teams[1].error
    gap, rest = second - first, teams[-1].error - second
    results.offer("ilsvrc-2012", scene)
    st.write(
        "Top-5 error on the test set, a share, of the four best teams. **Notice** the gap: the network makes "
        f"{100 * gap:.1f} points fewer errors than the second, and the three teams behind it lie within "
        f"{100 * rest:.1f} points."
    )
    results.explain(
        "0.15315 is the ensemble of seven networks, two of them first trained on the 2011 release; five networks "
        "without other data have 16.4 %. Source: results of ILSVRC-2012; Russakovsky et al., IJCV 2015 "
        "(arXiv:1409.0575)."
    )


def depth() -> None:
    """A cell a layer, from 8 to 152."""
    from cnnviz.studies.anatomy.depth import depth_strips

    strips = results.remembered(("depth",), depth_strips)
    scene = results.show(lambda width: depth_scene(strips, width), "Depth of four networks to scale", "depth_strip")
    results.offer("depth", scene)
    st.write(
        "A cell is a layer with weights, all of one width; gaps part the blocks. **Notice** the step in 2015: with "
        "shortcuts, depth grew sevenfold within a year, at less work than VGG-19's."
    )
    results.explain(
        "Counted on the longest path of each registered network: branches of an Inception module lie side by side and "
        "count once, and projections on a shortcut do not count. VGG-19 takes 19.6 G multiply-adds, ResNet-152 11.3 G. "
        "Source: He et al., CVPR 2016, and the talk on it (“Revolution of depth”)."
    )


CHARTS = {"ILSVRC-2012": ranking, "Depth": depth}
