"""A deeper network built of a shallower one and identities: equal answers, which its own training does not find."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from app.markdown import as_literal
from app.pickers import controls
from app.session import networks, shared
from app.session.cache import picture_cache
from app.session.networks import Choice, Network
from app.views.families import results
from cnnviz.figures.base.charts import bars_png
from cnnviz.studies.learning.construction import Construction, ConstructionCheck
from cnnviz.wording import plural

KINDS = {"without shortcuts": "plain", "with shortcuts": "resnet"}


def identities(row: Any) -> None:
    """Answers of 20 layers, of 56 built of them, and of 56 as trained."""
    image = controls.pick_image(None)
    with row:
        kind = KINDS[controls.bind_choice("Networks", "shortcuts", list(KINDS))]
    names = f"{kind}20_cifar", f"{kind}56_cifar"
    if any("bundled" not in networks.weights_options(name) for name in names):
        st.info("The trained networks are not here: cnnviz was installed without its bundled files.")
        return
    device = controls.choose_device()
    shallow, trained = (networks.load(Choice(name, "bundled", device)) for name in names)
    found = results.remembered(("construction", shallow.key), partial(_build, shallow, names[1]))
    built = networks.derive(shallow, "deeper by identities", lambda: found.model)
    check = picture_cache().get(("construction", shallow.key, trained.key), partial(_check, shallow, built, trained))
    titles = [shared.facts(one)["title"] for one in (shallow, trained)]
    parts = (
        (shallow, titles[0]),
        (built, f"{titles[1]}, built of it with {plural(len(found.added), 'identity block')}"),
        (trained, f"{titles[1]}, as trained"),
    )
    for column, (network, words) in zip(st.columns(3, gap="medium"), parts, strict=True):
        column.markdown(f"**{as_literal(words)}**")
        column.image(bars_png(shared.top5(network, image), 560), output_format="PNG", alt=f"Answers: {words}")
    apart = f"no logit differs by more than {check.difference:.0e}" if check.difference else "every logit is equal"
    st.write(
        f"Over {plural(len(check.logits), 'sample photograph')} the built network gives "
        f"{100 * check.same:.0f} % of the answers of the shallow one, by construction: "
        f"{apart}. The trained one gives {100 * (check.trained or 0):.0f} %. **Notice** that the deeper "
        "network *can* be as good as the shallower one, on training images as well; where its training ends worse, as "
        "without shortcuts, it is the training that does not find such weights."
    )
    results.explain(
        "An added block gives back its input, which has left a ReLU and is not negative: without a shortcut both "
        "convolutions have a single 1 in the middle for each channel and the norms change nothing; with a shortcut the "
        "branch is 0. On its own training images plain-20 ends at 95.7 %, plain-56 at 91.3 % (Training, Curves, "
        "Degradation). Source: He, Zhang, Ren, Sun, CVPR 2016 (arXiv:1512.03385), section 1.",
        r"\mathrm{ReLU}(x)=x\ \text{ for } x\ge 0",
    )


def _build(shallow: Network, deeper: str) -> Construction:
    from cnnviz.studies.learning.construction import build_deeper

    return build_deeper(shallow.model, deeper)


def _check(shallow: Network, built: Network, trained: Network) -> ConstructionCheck:
    from cnnviz.studies.learning.construction import check_construction

    photos = [shared.photo(name).convert("RGB") for name in shared.photo_names(one_channel=False)]
    return check_construction(shallow.model, built.model, photos, trained.model)
