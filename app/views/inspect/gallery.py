"""The view of several images at once: their five most probable classes, right and wrong ones told apart."""

from __future__ import annotations

import streamlit as st

from app.components.picture import labelled_picture
from app.markdown import as_literal
from app.pickers import controls
from app.pickers.corpus import pick_corpus
from app.session.cache import picture_cache
from app.session.networks import Network
from app.views.inspect.neighbours import usual_corpus
from app.views.playground.input import whole
from cnnviz.figures.attribution.gallery import count_right, gallery_strip
from cnnviz.figures.equivariance.panels import Strip

COUNTS = [12, 8, 16, 24]
COLUMNS = 4


def view(network: Network) -> None:
    """Random images of a corpus with their answers."""
    images, row = pick_corpus(network, "Images", usual_corpus(network))
    with row:
        count = int(controls.bind(st.selectbox, "Shown", "shown", COUNTS[0], options=sorted(COUNTS), width=90))
        seed = whole("Draw", "gallery", 0, 0, 9999)
    recipe = ("gallery", network.key, images.fingerprint, count, seed)

    def make() -> tuple[Strip, str]:
        from cnnviz.probes.gallery import draw_places, predict_gallery

        answers = predict_gallery(network.model, images, draw_places(count, len(images), seed))
        return gallery_strip(answers, COLUMNS), count_right(answers)

    strip, said = picture_cache().get(recipe, make)
    labelled_picture(strip, f"Answers to images of {images.name}", "inspect_gallery")
    st.write(
        f"Images drawn at random from {as_literal(images.name)}, with the five most probable classes of each: {said}. "
        "Green: the label; orange: a wrong first answer. **Notice** what it takes wrong images for, and how sure it is "
        "of them."
    )
    with st.expander("What is drawn, and source"):
        st.write(
            "Images as the network receives them; bars are probabilities from 0 to 1. A class is compared with the "
            "label by name. The picture follows Krizhevsky, Sutskever, Hinton, NIPS 2012, figure 4."
        )
