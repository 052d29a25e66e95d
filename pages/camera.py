"""Live camera: what a layer answers to what the camera sees, and what the network takes it for."""

import streamlit as st

from app.pickers import controls
from app.session import shared
from app.views.camera import live_page
from app.views.camera.worker import Wish

PAGE = {"title": "Live camera", "address": "camera", "icon": ":material/videocam:", "place": 60, "group": "See"}

title = controls.heading("Live camera")
network = controls.pick_network(title)
image = controls.pick_image(network)
layer = controls.pick_layer(network)
channels = shared.layer_shapes(network)[layer][0]
mode, scale, count = live_page.choices(channels)
controls.show_device(network)
live_page.view(Wish(network.model, layer, scale, count), image, mode)

st.write(
    "Each tile is one channel's response to the newest frame; the bars are the softmax of the last layer. **Notice** "
    "which maps follow an edge that you move, and which respond to one thing only."
)
with st.expander("Formula and source"):
    st.write(
        "Every frame is resized and cropped like an uploaded image, and takes one forward pass, out of which both the "
        "maps and the answer come. What is below 0 is drawn as 0. After the live view of Yosinski, Clune, Nguyen, "
        "Fuchs, Lipson, *Understanding neural networks through deep visualization*, 2015."
    )
