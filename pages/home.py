"""Home: what this is, which network looks at which image, and what the pages show."""

import streamlit as st

from app.components.picture import picture
from app.markdown import escape_markdown
from app.pickers import controls
from app.session import networks, shared
from app.session.cache import picture_cache
from app.shell import touring
from app.views.home import lecture, previews
from app.weights import shelf as uploads
from cnnviz.figures.base import charts
from cnnviz.figures.base.encode import enlarge, rgb_png, whole_factor
from cnnviz.figures.base.overlay import to_rgb

PAGE = {"title": "Home", "address": "", "icon": ":material/home:", "place": 0}

title = controls.heading("cnnviz: see what a convolutional network sees")
pictures, lecture_box, shelf = st.container(), st.container(), st.container()
with shelf:  # stands below, and is drawn first: it must be there even if the network cannot be loaded
    uploads.draw_shelf()
left, right = pictures.columns([1.5, 1], gap="medium")
with right, st.container(key="home_photo"):
    place = st.empty()
controls.show_photo_early(place)  # the network takes seconds on the first visit
network = controls.pick_network(title)
image = controls.pick_image(network)
controls.show_device(network)
for problem in networks.plugin_problems():
    st.sidebar.warning(escape_markdown(problem), icon=":material/extension_off:")

model = network.model
seen = shared.received(network, image)
controls.show_photo(place, image)
with left:
    factor = whole_factor(seen.shape[0], 360)
    size = seen.shape[1] * factor, seen.shape[0] * factor
    png = picture_cache().get(("received", network.key, image), lambda: rgb_png(enlarge(to_rgb(seen), factor)))
    picture(png, size, "The image after resizing and cropping", "home_seen", fill=True)
with right:
    controls.say_untrained(network)
    top = shared.top5(network, image)
    bars = picture_cache().get(("bars", network.key, image), lambda: charts.bars_png(top))
    words = ", ".join(f"{name} {share:.0%}" for name, share in top)
    st.image(bars, alt=f"Five most probable classes: {words}", width="stretch", output_format="PNG")
    prepared = charts.preprocessing_sentence(model.preprocessing.as_dict())
    st.caption(f"Above, the photograph and the answer; beside them, what the network receives. {prepared}")
    st.caption(charts.network_sentence(model.name, shared.facts(network), model.notes))
touring.offer(right)

first, second, third = pictures.columns(3, gap="medium", border=True)
with first:
    st.page_link("../pages/first_layer_filters.py", label="**First-layer filters**", icon=":material/grid_on:")
    previews.filters(network)
    st.write("The kernels of the first layer as pictures: edges, colours, blobs.")
with second:
    st.page_link("../pages/feature_maps.py", label="**Feature maps**", icon=":material/layers:")
    previews.maps(network, image)
    st.write("Every channel's response to your image; click a pixel to see its receptive field.")
with third:
    st.page_link("../pages/top9.py", label="**Top-9 patches**", icon=":material/apps:")
    previews.top9(network)
    st.write("The nine patches that drive a channel most, and what in them does it.")
with lecture_box:  # drawn last: nobody waits for it
    lecture.draw()
