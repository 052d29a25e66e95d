"""The view of local response normalisation: the channels of one pixel before and after, with their neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.drawing import drawing
from app.components.plots import plot
from app.pickers import controls
from app.session import shared
from app.session.networks import Network
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.normalisation.cubes import NormCube, cubes_scene
from cnnviz.figures.normalisation.curves import response_figure
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.studies.normalisation.response import LocalResponse

ALEXNET = 5, 1e-4, 0.75, 2.0  # n, α, β, k
WINDOWS = [1, 3, 5, 7, 9, 11, 15, 31]
ALPHAS = [0.0, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0]
BETAS = [0.0, 0.25, 0.5, 0.75, 1.0]
KS = [0.5, 1.0, 2.0, 4.0, 8.0]
SHARES = 2.2, 1.0  # of the width: bars and cubes


def view(network: Network, image: str, row: Any) -> None:
    """The bars, what α does, and which values local response and batch norm take together."""
    from cnnviz.studies.normalisation.response import local_response

    layers = controls.list_layers(network, ("conv",)) or controls.list_layers(network)
    layer = controls.choose_layer(network, layers, layers[2 * len(layers) // 3], "Layer")
    maps = np.maximum(shared.maps(network, image, layer), 0)
    energy = (maps**2).sum(axis=0)
    with row, st.container(horizontal=True, width="content", gap="xsmall"):
        place = controls.pick_position(st.container(horizontal=True, width="content"), energy)
        n = controls.bind(st.selectbox, "n", "lrn_n", ALEXNET[0], options=WINDOWS, width=80)
        alpha = controls.bind(st.select_slider, "α", "lrn_alpha", 0.1, options=ALPHAS, width=150)
        beta = controls.bind(st.select_slider, "β", "lrn_beta", ALEXNET[2], options=BETAS, width=110)
        k = controls.bind(st.select_slider, "k", "lrn_k", ALEXNET[3], options=KS, width=110)
    before = maps[:, place[0], place[1]]
    channel = controls.pick_unit(len(before), int(before.argmax()))
    found = local_response(before, int(n), alpha, beta, k)
    name = controls.unit_name(layer, channel, *place)
    bars, cubes = st.columns(SHARES, gap="small")
    with bars:
        figure = response_figure(found, channel, k**beta)
        plot(figure, f"Local response of {name}", "response_bars", f"{network.model.name}-{layer}-lrn")
    with cubes:
        _show_cubes(n, maps.shape)
    _tell(found, channel, name, (int(n), alpha, beta, k))
    _explain()


def _show_cubes(n: int, shape: tuple[int, ...]) -> None:
    local = NormCube("Local response", f"sums over {plural(n, 'channel')}", "one sum a value", "no mean, no γ and β")
    batch = NormCube(
        "Batch norm", "averages over N, H, W", plural(shape[0], "mean"), f"each of N × {shape[1]}×{shape[2]} values"
    )
    drawing(
        [cubes_scene([local, batch], columns=1)],
        ["Which values local response and batch norm take together"],
        "response_cubes",
    )


def _tell(found: LocalResponse, channel: int, name: str, numbers: tuple[int, float, float, float]) -> None:
    from cnnviz.studies.normalisation.response import local_response

    n, _alpha, beta, k = numbers
    first, last = int(found.first[channel]), int(found.last[channel])
    alexnet = local_response(found.before, *ALEXNET)
    most = float(1 - (ALEXNET[3] ** ALEXNET[2] / alexnet.denominators).min())
    st.write(
        f"`{name}`: {value_text(float(found.before[channel]))} over (k + α · "
        f"{value_text(float(found.sums[channel]))})^β = {value_text(float(found.denominators[channel]))} is "
        f"**{value_text(float(found.after[channel]))}**; channels {first} to {last} enter. PyTorch divides α by n: "
        f"with the same four numbers it gives {value_text(float(found.by_torch[channel]))}. **Notice** that a strong "
        "channel pulls its neighbours down. With AlexNet's α = 10⁻⁴ nothing here would fall by more than "
        f"{100 * most:.2g} % beyond the common factor k^β = {ALEXNET[3] ** ALEXNET[2]:.2f}: its input was pixels of 0 "
        "to 255 minus their mean; here pixels are divided by their deviation as well, and are about 1."
    )
    st.caption(f"The bars afterwards are multiplied by k^β = {k**beta:.3g}, so that only the neighbours' part is seen.")


def _explain() -> None:
    with st.expander("Formula and source"):
        st.latex(
            r"b^i_{x,y}=a^i_{x,y}\Big/\Big(k+\alpha\sum_{j=\max(0,\,i-n/2)}^{\min(C-1,\,i+n/2)}(a^j_{x,y})^2\Big)^{\beta}"
        )
        st.write(
            "n/2 is rounded down. AlexNet: k = 2, n = 5, α = 10⁻⁴, β = 0.75, after the ReLU; here the layer's output "
            "is rectified first. `torch.nn.LocalResponseNorm` and Caffe take the mean over n in place of the sum: the "
            "paper's function is `LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)`. Local response norm looks at a "
            "few channels of one place of one image and learns nothing; batch norm takes one channel over all places "
            "and images, subtracts the mean, and learns γ and β. Source: Krizhevsky, Sutskever, Hinton, NIPS 2012, "
            "section 3.3; Simonyan and Zisserman found no use in it (ICLR 2015, arXiv:1409.1556, section 4.1, A-LRN)."
        )
