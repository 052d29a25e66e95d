"""The view of neighbours: the images of a corpus that the network finds most alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.picture import labelled_picture
from app.jobs import studies
from app.markdown import as_code, as_literal, escape_markdown
from app.pickers import controls
from app.pickers.corpus import default_corpus, pick_corpus
from app.session import shared, uploads
from app.session.cache import picture_cache
from app.session.networks import Network
from app.views.inspect.results import Subject
from cnnviz.errors import BadImage, CnnvizError
from cnnviz.figures.attribution.panels import ImagePanel, compose_panels, photo_panel
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.data.corpus import Corpus
    from cnnviz.studies.channels.neighbours import Embedding, Neighbour

SHOWN, COLUMNS, SIDE, QUERY = 12, 4, 160, 224  # neighbours, in a row, pixels of each and of the query
COUNTS = [1000, 200, 5000, 50_000]


def view(subject: Subject) -> None:
    """The picker of the corpus, the query, and its neighbours."""
    model = subject.network.model
    images, row = pick_corpus(subject.network, "Images to search", usual_corpus(subject.network))
    with row:
        count = int(controls.bind(st.selectbox, "At most", "images", COUNTS[0], options=sorted(COUNTS), width=105))
    taken = images.take(count)
    left, right = st.columns([1, 2.7], gap="medium")
    with left:
        side, words = subject.side(QUERY), (("", f"answer: {subject.name}"),)
        shown = compose_panels([photo_panel(subject.received, "The image", side, words)], 1, side)
        labelled_picture(shown, "The query", "inspect_query")
    with right:
        found = _embedding(subject, taken)
        if found is not None:
            _show(subject, taken, found)
    st.write(
        "The images whose activations before the classifier lie closest to those of yours. **Notice** which of them "
        "share what they show, and which only colour and layout: with random weights all are of the second kind. "
        "(Crops of your own photograph, where it is one of the samples, are close in either way.)"
    )
    with st.expander("Formula and source"):
        st.write(
            f"L2 distance d between the values that {as_code(model.name)} hands to its classifier; maps that a "
            "convolution classifies are averaged over rows and columns first. Krizhevsky, Sutskever, Hinton, NIPS "
            "2012, section 6.1, there of the 4096 units of fc7."
        )


def usual_corpus(network: Network) -> str:
    """The data set the network was trained for, where it is on this machine already."""
    known = {10: "mnist-test" if network.one_channel else "cifar10-test", 1000: "imagenette-val"}
    name = known.get(len(network.model.class_names), "")
    return name if name and shared.is_here(name) else default_corpus(network)


def _embedding(subject: Subject, images: Corpus) -> Embedding | None:
    """All images in the space of the top hidden layer; None while they are computed."""
    model = subject.network.model
    path = uploads.cache_folder("embeddings") / f"{model.fingerprint[:20]}-{images.fingerprint[:20]}.npz"

    def make(progress: Any) -> Embedding:
        from cnnviz.studies.channels.neighbours import embed_corpus

        found = _saved(path)
        if found is None:
            found = embed_corpus(model, images, progress)
            found.save(path)
        return found

    quick = len(images) * model.input_size[1] * model.input_size[2] <= 80_000_000  # some 1,600 images of 224×224
    recipe = ("neighbours", model.fingerprint, images.fingerprint)
    return studies.result("neighbours", recipe, f"Looking at {plural(len(images), 'image')}", make, at_once=quick)


def _saved(path: Path) -> Embedding | None:
    from cnnviz.studies.channels.neighbours import Embedding

    if not path.is_file():
        return None
    try:
        return Embedding.load(path)
    except CnnvizError:
        path.unlink(missing_ok=True)  # left by another version
        return None


def _show(subject: Subject, images: Corpus, found: Embedding) -> None:
    vector = picture_cache().get(("query", *subject.key[:2]), lambda: _query(subject))

    from cnnviz.studies.channels.neighbours import find_nearest

    near = find_nearest(found, vector, images, SHOWN, leave_out=subject.image)
    shown = picture_cache().get(
        ("neighbours", *subject.key[:2], images.fingerprint),
        lambda: compose_panels([_panel(subject, images, one) for one in near], COLUMNS, subject.side(SIDE)),
    )
    labelled_picture(shown, "The nearest images", "inspect_near")
    if images.labels is not None:
        own = [images.labels[one.position] for one in near]
        best = max(sorted(set(own)), key=own.count)
        answer = subject.answer.class_names[subject.answer.check_label(None)]
        st.markdown(
            f"{own.count(best)} of these {len(own)} carry the label **{as_literal(best)}**; the network answers "
            f"**{as_literal(answer)}**."
        )
    if found.skipped:
        st.caption(
            f"{plural(len(found.skipped), 'image')} could not be read, the first: "
            f"{escape_markdown(found.skipped[0][1])}"
        )


def _query(subject: Subject) -> np.ndarray:
    from cnnviz.studies.channels.neighbours import embed_image

    return embed_image(subject.network.model, shared.photo(subject.image))


def _panel(subject: Subject, images: Corpus, one: Neighbour) -> ImagePanel:
    name = images.labels[one.position] if images.labels is not None else one.image_id
    words = (("", f"d {one.distance:.2f} · {name}"),)
    try:
        seen = subject.network.model.received_from(images, one.position)
    except BadImage:
        return ImagePanel(np.full((8, 8, 3), 236, np.uint8), "", lines=(("", "can no longer be read"),))
    return photo_panel(seen, "", subject.side(SIDE), words)
