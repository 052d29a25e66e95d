"""Transfer: how far the layers of one task serve another; attempts at few images; dense against convolution."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.components.plots import plot
from app.url.address import bind_choice
from app.views.training import attempts
from cnnviz.figures.training.transfer import efficiency_figure, transfer_figure
from cnnviz.studies.learning.efficiency import EfficiencyStudy, bundled_efficiency, describe_efficiency
from cnnviz.studies.learning.transfer import TransferStudy, bundled_study, describe_study
from cnnviz.wording import plural

HEIGHT = 520
FEW = "Dense or convolution"
DECISION = {  # how many images, against how like the start's they are
    "": ["**few images**", "**many images**"],
    "like those that the start was trained on": [
        "train the head only: `--freeze all-but-head`",
        "fine-tune all layers, at a lower learning rate: `--from packaged`",
    ],
    "of another kind": [
        "freeze the first layers alone, which are general, and train the rest: `--freeze layer1`",
        "fine-tune all layers; the start saves epochs, and from scratch is worth a trial",
    ],
}


def view(row: Any) -> None:
    """The measured study, or attempts of one's own, and the table that decides between them."""
    with row:
        shown = bind_choice("Look at", "transfer", ["Study", "Attempts", FEW])
    if shown == FEW:
        _draw_efficiency()
        return
    if shown == "Attempts":
        attempts.view(row)
    else:
        _draw_study()
    _draw_decision()


@st.cache_data(show_spinner=False)
def _study() -> TransferStudy | None:
    return bundled_study()


def _draw_study() -> None:
    study = _study()
    if study is None:
        st.info("The study on CIFAR-10 is not here: cnnviz was installed without its bundled files.")
        return
    plot(transfer_figure(study, HEIGHT), "Accuracy over the layers taken over", "transfer_study", "transfer-study")
    halves, images = study.meta["halves"], study.meta["images"]
    st.write(
        f"`{study.meta['architecture']}`, trained on one half of CIFAR-10's classes, is cut after each of its layers; "
        "what lies above starts anew, and the whole is trained on half B. Bars: standard deviation over "
        f"{plural(len(study.seeds), 'seed')}. **Notice** where the frozen curves fall: below the grey band the layers "
        "above do not find back to their own network's lower ones (co-adaptation), and AnB below BnB is what features "
        "of the other classes lack (specificity)."
    )
    for line in describe_study(study):
        st.write(f"- {line}")
    with st.expander("Formula and source"):
        st.write(
            "Yosinski, Clune, Bengio, Lipson, How transferable are features in deep neural networks?, NIPS 2014. Half "
            f"A: {', '.join(halves['A'])}; half B: {', '.join(halves['B'])}. Of each class "
            f"{plural(images['trained_each_class'], 'image')} are trained on and "
            f"{images['measured_each_class']:,} measured. Each training takes "
            f"{plural(study.meta['recipe']['epochs'], 'epoch')}, so that fine-tuned layers have had twice as many. A "
            "difference is said to show where its mean is beyond two standard deviations of the paired differences "
            f"over the seeds. Computed with `{study.meta['command']}`."
        )


@st.cache_data(show_spinner=False)
def _efficiency() -> EfficiencyStudy | None:
    return bundled_efficiency()


def _draw_efficiency() -> None:
    """What the wiring of a network is worth in training images."""
    study = _efficiency()
    if study is None:
        st.info("The study on MNIST is not here: cnnviz was installed without its bundled files.")
        return
    plot(efficiency_figure(study, HEIGHT), "Accuracy over the number of training images", "efficiency", "efficiency")
    st.write(
        "The same few digits of each class, the same recipe, two wirings. Bars: standard deviation over "
        f"{plural(len(study.seeds), 'seed')}. **Notice** that the convolutions need fewer images for the same "
        "accuracy, with fewer parameters, and lose less when the test digits are moved (dotted): their wiring "
        "assumes what the dense network would have to learn."
    )
    for line in describe_efficiency(study):
        st.write(f"- {line}")
    recipe = study.meta["recipe"]
    with st.expander("Formula and source"):
        st.write(
            f"{study.meta['data']}, {plural(study.meta['test'], 'test image')}; moved: by up to "
            f"{plural(recipe['shift'], 'pixel')} along either axis, at random. Every training takes "
            f"{plural(recipe['steps'], 'step')} of SGD on batches of at most {recipe['batch']}, learning rate "
            f"{recipe['lr']} with a cosine schedule, momentum {recipe['momentum']}, weight decay "
            f"{recipe['weight_decay']}, without augmentation. Source of the question: Goodfellow, Bengio, Courville, "
            f"Deep Learning, 2016, section 9.4. Computed with `{study.meta['command']}`."
        )


def _draw_decision() -> None:
    """What to do with so many images, so like those that the weights were trained on."""
    st.markdown("**Which layers to train**")
    st.table(DECISION)
    st.caption(
        "A rule of thumb, as lectures teach it; the attempts measure it on your own images, and the study shows why: "
        "first layers serve other tasks, last ones are specific."
    )
