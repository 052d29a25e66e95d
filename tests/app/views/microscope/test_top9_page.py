"""Top-9 patches: the index is built beside the page, found again after a restart, and drawn as a wall."""

from functools import partial

import numpy as np
import pytest
import streamlit as st
from app_jobs import when_built
from app_pages import errors, pictures, stop_jobs, tile_of
from PIL import Image
from streamlit.testing.v1 import AppTest

import cnnviz
from app.jobs import background
from cnnviz.data.open import corpus
from cnnviz.figures.patches.wall import reconstruction_rgb
from cnnviz.index.result import PatchIndex
from cnnviz.studies.channels.selectivity import selectivity


@pytest.fixture
def folder(tmp_path):
    """Twelve images, a broken one, and a text that is no image."""
    place = tmp_path / "pictures"
    (place / "inner").mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(12):
        pixels = random.integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(place / ("inner" if number % 2 else ".") / f"{number}.png")
    (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return place


def test_a_small_corpus_is_indexed_by_itself_and_the_wall_appears(opened, cache):
    at = when_built(opened("top9", net="lenet5", layer="conv2", unit="7"))
    assert errors(at) == []
    shown = pictures(at)
    assert {"wall_picture", "unit_patches", "unit_low"} <= shown.keys()
    (file,) = (cache / "indexes").glob("*.npz")
    index = PatchIndex.load(file)
    assert index.complete and "conv2" in index.layers
    values = ", ".join(f"{w.value:.3g}" for w in index.top("conv2", 7))
    assert any(values in c.value for c in at.caption)


def cancelling() -> None:
    """A script that cancels the index of one network, and asks for those of two."""
    import streamlit as st
    from app_jobs import until_cancelled

    from app.jobs import background
    from app.session import networks
    from app.session.networks import Choice
    from app.views.patches import building
    from cnnviz.data.open import corpus

    images = corpus("digits")
    choices = [Choice("lenet5", weights, "cpu") for weights in ("bundled", "random")]
    both = [networks.load(choice) for choice in choices]
    key = str(building.index_path(both[0], images))
    st.session_state["class_lecturer"] = True
    job = background.start(key, "test", until_cancelled)
    st.session_state["class_lecturer"] = not st.session_state["student"]
    job.cancel()
    st.session_state["goes_on"] = not job.cancelled
    job.end(30)  # a student's click did not; now nobody watches any more
    found = [background.find(str(building.index_path(one, images))) for one in both]
    st.session_state["starts"] = [building.wants_start(images, None, one) for one in found]


@pytest.mark.parametrize("student", [False, True])
def test_cancelling_an_index_holds_for_that_one_alone_and_a_student_s_click_for_none(monkeypatch, student):
    monkeypatch.setenv("CNNVIZ_CLASS_TOKEN", "a-token-of-this-test")
    script = AppTest.from_function(cancelling, default_timeout=60)
    script.session_state["student"] = student
    assert not script.run().exception and script.session_state["starts"] == [student, True]
    assert script.session_state["goes_on"] == student


def test_an_index_is_found_again_after_a_restart(opened, cache):
    first = pictures(when_built(opened("top9", net="lenet5", layer="conv2")))["wall_picture"]["src"]
    stop_jobs()
    st.cache_data.clear()
    st.cache_resource.clear()  # a new process knows nothing but the files
    at = opened("top9", net="lenet5", layer="conv2")
    assert pictures(at)["wall_picture"]["src"] == first
    jobs = [key for key in background._registry()[0] if not key.startswith("inputs-")]
    assert not jobs  # but for the preferred input beside it, nothing was computed again


def test_the_frame_stands_round_the_chosen_channel_and_the_page_of_the_wall_follows_it(opened):
    at = when_built(opened("top9", net="lenet5", layer="conv2", unit="4"))
    first = pictures(at)["wall_picture"]
    assert at.number_input(key="wall").value == 1 and first["chosen"] == 4 and first["items"] == list(range(15))
    at.number_input(key="unit").set_value(15).run()
    second = pictures(at)["wall_picture"]
    assert at.number_input(key="wall").value == 2 and second["chosen"] == 15 and second["items"] == [15]


def test_a_block_holds_nine_patches_beside_nine_projections(opened, cache):
    at = when_built(opened("top9", net="lenet5", layer="conv2", unit="4"))
    shown = pictures(at)["wall_picture"]
    (file,) = (cache / "indexes").glob("*.npz")
    index = PatchIndex.load(file).attached(cnnviz.load("lenet5"), corpus("digits"))
    for item in (4, 9):
        view, tile = index.unit("conv2", item), tile_of(shown, item)
        for place, patch in enumerate(view.patches()):
            top, left = (14 * n for n in divmod(place, 3))
            assert (tile[top : top + 14, left : left + 14] == patch).all()  # gray: the same in each colour
        for place, signal in enumerate(view.reconstructions("deconvnet")):
            top, left = (14 * n for n in divmod(place, 3))
            found = tile[top : top + 14, 42 + left : 42 + left + 14]
            assert np.abs(found.astype(int) - reconstruction_rgb(signal)).max() <= 1


def test_the_same_channels_of_random_weights_stand_beside_with_their_own_winners(opened, cache):
    at = when_built(when_built(opened("top9", net="lenet5", layer="conv2", unit="4", beside="random", wall="2")))
    assert errors(at) == []
    left, right = (pictures(at)[key] for key in ("wall_picture", "wall_picture_beside"))
    assert left["items"] == right["items"] == [15] and left["group"] == right["group"] == "compared"
    twin = cnnviz.load("lenet5", "random")
    (file,) = (cache / "indexes").glob(f"{twin.fingerprint[:20]}-*.npz")
    view = PatchIndex.load(file).attached(twin, corpus("digits")).unit("conv2", 15)
    tile = tile_of(right, 15)
    for place, patch in enumerate(view.patches()):
        top, across = (14 * n for n in divmod(place, 3))
        assert (tile[top : top + 14, across : across + 14] == patch).all()
    assert not np.array_equal(tile, tile_of(left, 15))


def test_leafing_through_the_wall_keeps_the_unit_and_is_in_the_url(opened):
    at = when_built(opened("top9", net="lenet5", layer="conv2", unit="4"))
    at.number_input(key="wall").set_value(2).run()
    assert at.number_input(key="unit").value == 4 and at.query_params["wall"] == "2"
    assert 4 not in pictures(at)["wall_picture"]["items"]
    again = opened("top9", **at.query_params)
    assert pictures(again)["wall_picture"]["src"] == pictures(at)["wall_picture"]["src"]


def test_strongest_first_begins_with_the_channel_of_the_highest_value(opened, cache):
    at = when_built(opened("top9", net="lenet5", layer="conv2", wall_order="Strongest first"))
    (file,) = (cache / "indexes").glob("*.npz")
    strongest = int(PatchIndex.load(file).strength("conv2").argmax())
    at.number_input(key="unit").set_value(strongest).run()
    assert pictures(at)["wall_picture"]["items"][0] == strongest


@pytest.mark.parametrize("rule", ["guided", "gradient"])
def test_another_projection_draws_other_reconstructions_of_the_same_patches(opened, rule):
    at = when_built(opened("top9", net="lenet5", layer="conv2"))
    before = pictures(at)
    at.selectbox(key="rule").select(rule).run()
    after = pictures(at)
    assert after["unit_patches"]["src"] == before["unit_patches"]["src"]
    assert after["unit_low"]["src"] != before["unit_low"]["src"]


def test_a_folder_waits_for_the_button_and_says_what_it_left_out(opened, folder):
    at = opened("top9", net="lenet5", corpus="folder", folder=str(folder))
    assert errors(at) == [] and "wall_picture" not in pictures(at)
    (button,) = [b for b in at.button if b.label == "Build the index"]
    at = when_built(button.click().run())
    assert errors(at) == [] and "wall_picture" in pictures(at)
    assert any("1 image could not be read" in e.label for e in at.expander)


def test_a_stopped_index_says_how_far_it_came_and_goes_on(opened, folder, monkeypatch):
    from cnnviz.index.search import build as topk

    whole = topk.index_patches

    def begun(*args, progress, **options):  # stops after its first batch, as a person's click would
        return whole(*args, progress=lambda state: progress(state) and False, batch=4, **options)

    monkeypatch.setattr(topk, "index_patches", begun)
    at = opened("top9", net="lenet5", corpus="folder", folder=str(folder))
    at = when_built(next(b for b in at.button if b.label == "Build the index").click().run())
    assert errors(at) == []
    assert any("4 are done" in i.value for i in at.info)
    monkeypatch.setattr(topk, "index_patches", partial(whole, batch=4))
    at = when_built(next(b for b in at.button if b.label == "Continue").click().run())
    assert errors(at) == [] and not at.info and "wall_picture" in pictures(at)


@pytest.mark.parametrize("place", ["", "/no/such/folder/anywhere", "\0"], ids=["none", "missing", "nul"])
def test_a_folder_that_is_not_there_is_said_and_the_pickers_live(opened, place):
    at = opened("top9", net="lenet5", corpus="folder", folder=place)
    assert len(errors(at)) + len(at.info) == 1
    at.selectbox(key="corpus").select("digits").run()
    assert errors(when_built(at)) == []
    assert at.selectbox(key="corpus").value == "digits" and "corpus" not in at.query_params


def test_several_uploads_can_be_searched(opened, folder):
    at = opened("top9", net="lenet5", corpus="upload")
    assert errors(at) == []
    files = [(p.name, p.read_bytes(), "image/png") for p in sorted(folder.glob("?.png"))]
    at.file_uploader(key="corpus_upload").set_value(files).run()
    at = when_built(next(b for b in at.button if b.label == "Build the index").click().run())
    assert errors(at) == [] and "wall_picture" in pictures(at)


def test_feature_maps_show_what_drives_the_unit_and_lead_to_its_top_9(opened):
    at = when_built(opened("feature_maps", net="lenet5", layer="conv2", unit="7", row="3", col="4"))
    assert {"unit_patches", "unit_low"} <= pictures(at).keys()
    (way,) = [w for w in at.get("page_link") if w.proto.label == "Patches"]
    assert "unit=7" in way.proto.query_string and "layer=conv2" in way.proto.query_string
    assert "row=3" in way.proto.query_string and "col=4" in way.proto.query_string


def test_find_jumps_to_a_channel_and_forgets_the_text(opened):
    at = when_built(opened("top9", net="lenet5", layer="conv2", wall="1"))
    at.text_input(key="find").set_value("channel 15").run()
    assert errors(at) == []
    assert at.number_input(key="unit").value == 15 and at.number_input(key="wall").value == 2
    assert at.text_input(key="find").value == "" and at.query_params["unit"] == "15" and "find" not in at.query_params


def test_a_class_name_leaves_the_channels_with_winners_of_that_class(opened, cache):
    at = when_built(opened("top9", net="lenet5", layer="conv2", find="7"))  # a number in a link is that channel
    assert errors(at) == [] and at.number_input(key="wall").label == "Page (of 1)"
    (file,) = (cache / "indexes").glob("*.npz")
    commonest = selectivity(PatchIndex.load(file), "conv2").commonest
    label, inside = commonest[5], [c for c in range(16) if commonest[c] == commonest[5]]
    outside = next(c for c in range(16) if c not in inside)
    at = when_built(opened("top9", net="lenet5", layer="conv2", show=f"Mostly {label}", unit=str(inside[-1])))
    assert errors(at) == [] and pictures(at)["wall_picture"]["items"] == inside[:15]
    at.number_input(key="unit").set_value(outside).run()
    assert outside not in pictures(at)["wall_picture"]["items"]


def test_a_search_without_a_find_says_so_and_keeps_the_controls(opened):
    at = when_built(opened("top9", net="lenet5", layer="conv2", find="zebra"))
    assert errors(at) == [] and any("zebra" in i.value for i in at.info) and "wall_picture" not in pictures(at)
    at.text_input(key="find").set_value("").run()
    assert "wall_picture" in pictures(at)


def test_the_photograph_joins_the_ranking_and_its_channels_make_a_wall(opened, cache):
    at = when_built(opened("top9", net="lenet5", layer="conv2", image="digit-1"))
    assert errors(at) == []
    places = {w.proto.label: w.proto.query_string for w in at.get("page_link") if ": place " in w.proto.label}
    (file,) = (cache / "indexes").glob("*.npz")
    index = PatchIndex.load(file)
    own = {c for c in range(16) for w in index.top("conv2", c) if w.image_id == "digit-1/00"}  # the same pixels
    assert len(places) >= min(len(own), 8)
    assert all("unit=" in query and "layer=conv2" in query for query in places.values())
    at.selectbox(key="show").select("Channels with your photo in the top 9").run()
    assert errors(at) == [] and at.query_params["show"] == "Channels with your photo in the top 9"


def test_true_scale_draws_early_layers_smaller_than_late_ones(opened):
    early = pictures(when_built(opened("top9", net="lenet5", layer="conv1", size="true scale")))["wall_picture"]
    late = pictures(when_built(opened("top9", net="lenet5", layer="conv2", size="true scale")))["wall_picture"]
    assert (early["side"], late["side"]) == (5 * 4, 14 * 4)  # fields of 5 and 14 pixels; 28 measure 112
    assert (early["tile"], late["tile"]) == ([5, 5], [14, 14])


def test_the_whole_layer_is_made_beside_the_page_and_offered_as_png_and_pdf(opened, cache):
    at = when_built(opened("top9", net="lenet5", layer="conv1"))
    at.button(key="prepare_sheet").click().run()
    at = when_built(at)
    assert errors(at) == []
    files = sorted((cache / "sheets").iterdir())
    assert [f.suffix for f in files] == [".pdf", ".png"] and files[0].read_bytes().startswith(b"%PDF")
    assert Image.open(files[1]).width == 2480
    assert {b.proto.label for b in at.get("download_button")} == {"Whole layer, PDF", "Whole layer, PNG"}
