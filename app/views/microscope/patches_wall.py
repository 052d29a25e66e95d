"""The wall of patches: nine winners of each channel beside their projections, in which order and page by page; and the
whole layer for print."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.components.wall import TileText, show_wall
from app.jobs import background, watch
from app.jobs.background import Report
from app.markdown import as_literal, escape_markdown
from app.pickers import comparison, photo_cards
from app.pickers.comparison import Side
from app.session import shared, uploads
from app.session.cache import picture_cache
from app.url import address
from app.url.address import bind
from app.views.microscope.look import choose_unit, choose_winner
from app.views.patches import building, indexing
from app.views.patches.deferred import Deferred
from app.views.patches.indexing import IndexedLayer
from cnnviz.figures.base.atlas import cells_atlas
from cnnviz.figures.base.charts import value_text
from cnnviz.figures.patches.wall import Block, fit_tile, pair_cells, plan_wall
from cnnviz.progress import Progress
from cnnviz.wording import plural

if TYPE_CHECKING:
    from cnnviz.figures.base.atlas import Atlas
    from cnnviz.studies.channels.selectivity import Selectivity

ALL, ALIVE, DEAD, ENTERED = "All", "Alive", "Dead", "Channels with your photo in the top 9"
MOSTLY = "Mostly "
CLASSES = 40  # of the winners that are offered in the filter at most
PREPARE: dict[str, Any] = dict(
    icon=":material/print:",
    key="prepare_sheet",
    help="PNG and PDF, A4 at 300 dpi: every unit with its patches and reconstructions.",
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the wall shows. `channels`: all that pass, in order; `selective`: of the layer, if there are labels;
    `places`: of the photograph; `own`: whether that is one of the images searched; `found`: {channel: winners of
    the class, or of the images, looked for}."""

    channels: list[int]
    selective: Selectivity | None
    places: np.ndarray
    own: bool
    found: dict[int, int]
    name: tuple[str, ...]  # of the choices: order, filter, search, photograph

    @property
    def show(self) -> str:
        """Which channels the wall is limited to."""
        return self.name[1]


def choose(layer: IndexedLayer, image: str, row: Any) -> Chosen:
    """The controls in the row above the wall, and the channels that pass them."""
    orders, filters, channels = picture_cache().get((*layer.key, "offered"), lambda: _list_offered(layer))
    with row:
        order = bind(st.selectbox, "Order", "wall_order", orders[0], options=orders, width=126)
        show = bind(st.selectbox, "Show", "show", ALL, options=filters, width=112)
        find = bind(
            st.text_input,
            "Find",
            "find",
            "",
            placeholder="17, or dog",
            help="A channel's number, a class, or a part of the file names of the winners.",
            width=96,
            on_change=_jump,
            args=(channels,),
        )
    name = (*layer.key, "chosen", order, show, find, image)
    return picture_cache().get(name, lambda: _choose(layer, image, order, show, find))


def _choose(layer: IndexedLayer, image: str, order: str, show: str, find: str) -> Chosen:
    from cnnviz.studies.channels.sorting import order_channels

    selective, (places, own) = layer.selectivity, layer.places(image)
    found = _find(layer, find)
    passing = _find_passing(layer, show, places)
    channels = order_channels(layer.index, layer.layer, order, selective)
    channels = [c for c in channels if c in passing and (not find or c in found)]
    if show == ENTERED:
        channels.sort(key=lambda c: places[c])
    return Chosen(channels, selective, places, own, found, (order, show, find, image))


def _list_offered(layer: IndexedLayer) -> tuple[list[str], list[str], int]:
    """The orders; what can be shown: everything, or the channels of a class; and the number of channels."""
    from cnnviz.studies.channels.sorting import ORDERS

    selective = layer.selectivity
    orders = [order for order in ORDERS if selective is not None or order != "Most selective"]
    return orders, _name_filters(selective), layer.index.channels(layer.layer)


def _name_filters(selective: Selectivity | None) -> list[str]:
    common: dict[str, int] = {}
    for label in selective.commonest if selective else []:
        common[label] = common.get(label, 0) + 1
    most = sorted(sorted(label for label in common if label), key=lambda label: -common[label])[:CLASSES]
    return [ALL, ALIVE, DEAD, ENTERED, *(MOSTLY + label for label in sorted(most))]


def _find_passing(layer: IndexedLayer, show: str, places: np.ndarray) -> set[int]:
    silent, selective = layer.index.dead(layer.layer), layer.selectivity
    if show == ENTERED:
        return {int(c) for c in np.flatnonzero(places)}
    if show in (ALIVE, DEAD):
        return {int(c) for c in np.flatnonzero(silent if show == DEAD else ~silent)}
    if show.startswith(MOSTLY) and selective is not None:
        return {c for c, label in enumerate(selective.commonest) if MOSTLY + label == show}
    return set(range(len(silent)))


def _jump(channels: int) -> None:
    """A number that is typed into the search chooses that channel; anything else stays as a filter."""
    from cnnviz.studies.channels.sorting import parse_channel

    st.session_state.pop("wall", None)
    number = parse_channel(st.session_state.get("find") or "", channels)
    if number is not None:
        address.choose("unit", number)
        st.session_state["find"] = ""


def _find(layer: IndexedLayer, find: str) -> dict[int, int]:
    """{channel: winners} of the class or of the images looked for; the class's own channel in a layer of classes."""
    from cnnviz.studies.channels.sorting import find_class, find_images, parse_channel

    if not find:
        return {}
    channels, selective = layer.index.channels(layer.layer), layer.selectivity
    number = parse_channel(find, channels)
    if number is not None:  # of a link; typed numbers have jumped already
        return {number: 0}
    found = find_images(layer.index, layer.layer, find)
    for channel, count in (find_class(selective, find) if selective is not None else {}).items():
        found[channel] = max(count, found.get(channel, 0))
    names, last = layer.network.model.class_names, list(layer.index.layers)[-3:]
    if len(names) == channels and layer.layer in last:
        found |= {c: found.get(c, 0) for c, name in enumerate(names) if find.strip().lower() in name.lower()}
    return found


def explain_empty(chosen: Chosen, layer: str) -> None:
    """Say why the wall is empty."""
    if address.read("find") and not chosen.found:
        searched = "file" if chosen.selective is None else "class or file"
        labelled = " These images have no classes: only their names are searched." if chosen.selective is None else ""
        wanted = as_literal(address.read("find"))
        st.info(f"No channel of {as_literal(layer)} has a winner whose {searched} is named like “{wanted}”.{labelled}")
    elif address.read("show") == DEAD:
        st.info(f"No channel of {as_literal(layer)} is dead over these images.")
    else:
        st.info(f"No channel of {as_literal(layer)} passes both “Show” and “Find”.")


def pick_page(
    row: Any, layer: IndexedLayer, chosen: Chosen, unit: int, rule: str, true_scale: bool
) -> tuple[WallPage, list[int]]:
    """One page of the wall, by default the page with the chosen unit, and the channels of the page after."""
    per_page, kept, side = _plan(layer, true_scale)
    pages = math.ceil(len(chosen.channels) / per_page)
    first = chosen.channels.index(unit) // per_page + 1 if unit in chosen.channels else 1
    with row:
        page = bind(
            st.number_input, f"Page (of {pages})", "wall", first, min_value=1, max_value=pages, step=1, width=112
        )
    start = (int(page) - 1) * per_page
    shown, following = (chosen.channels[at : at + per_page] for at in (start, start + per_page))
    return WallPage(layer, shown, chosen, kept, side, rule), following


def _plan(layer: IndexedLayer, true_scale: bool) -> tuple[int, int, int | None]:
    """Blocks of a page of the wall, and the pixels of a patch's side: as it is sent, and on the screen."""

    def make() -> tuple[int, int, int | None]:
        field, input_size = shared.receptive(layer.network, layer.layer).size, layer.network.input_size[1:]
        return plan_wall(field, input_size, layer.index.channels(layer.layer), true_scale)

    return picture_cache().get((*layer.key, "wall plan", true_scale), make)


@dataclass(frozen=True, slots=True)
class WallPage:
    """What one page of the wall shows of a layer. `channels`: of its blocks, row by row; `kept`: pixels of a patch's
    side as it is sent; `side`: on the screen, None: as much as there is room for; `rule`: of the reconstructions."""

    layer: IndexedLayer
    channels: list[int]
    chosen: Chosen
    kept: int
    side: int | None
    rule: str


def show(later: Deferred, sides: list[Side], page: WallPage, following: list[int], unit: int) -> None:
    """The wall with a frame round the chosen unit, or those of both halves; what the page after (`following`) needs is
    made ahead."""
    later.prepare(page.layer.list_cells(following, page.kept))

    def draw(side: Side) -> None:
        if not side.second:
            _show_wall(later, side, page, unit, comparison.group_of(sides))
        elif (layer := indexing.find_layer(side.network, page.layer.indexed.images, side.layer)) is not None:
            _show_wall(later, side, _turn_to(page, layer, side.image), unit, comparison.group_of(sides))

    comparison.show(sides, draw)


def _turn_to(page: WallPage, layer: IndexedLayer, image: str) -> WallPage:
    """The page of another layer that shows the same channels at the same places."""
    channels = comparison.order_alike(page.channels, list(range(layer.index.channels(layer.layer))), len(page.channels))
    places, own = layer.places(image)
    chosen = Chosen(channels, layer.selectivity, places, own, {}, (*page.chosen.name, "beside", image))
    kept, side = _plan(layer, page.side is not None)[1:]
    return replace(page, layer=layer, channels=channels, chosen=chosen, kept=kept, side=side)


def _show_wall(later: Deferred, half: Side, page: WallPage, unit: int, group: str) -> None:
    """One wall. Reconstructions come later, those of the chosen `unit` first."""
    order = sorted(page.channels, key=lambda channel: channel != unit)
    low = dict(zip(order, later.get_all(page.layer.list_cells(order, page.kept, page.rule), lead=True), strict=True))
    known = tuple((channel, low[channel] is not None) for channel in page.channels)
    atlas, texts = picture_cache().get(
        (*page.layer.key, "wall", page.rule, page.kept, known, page.chosen.name), lambda: _draw_wall(page, low)
    )
    ready = sum(part is not None for part in low.values())
    words = f"Top-9 wall of {page.layer.layer}, reconstructions of {ready} of {plural(len(low), 'channel')}"

    def choose(channel: int, row: int | None, col: int | None) -> None:
        """A click on a patch or its projection leads to the winner's image, one below the block to the channel."""
        if row is None or col is None or half.second:
            choose_unit(channel)
        else:
            choose_winner(page.layer, channel, 3 * row + col % 3)

    show_wall(
        atlas, texts, half.alt(words), half.key("wall_picture"), unit, on_pick=choose, side=page.side, group=group
    )


def _draw_wall(page: WallPage, low: dict[int, np.ndarray | None]) -> tuple[Atlas, list[TileText]]:
    patches = picture_cache().get_all(page.layer.list_cells(page.channels, page.kept))
    atlas = cells_atlas(pair_cells(patches, [low[channel] for channel in page.channels]))
    captions = [caption(page.layer, channel, page.chosen) for channel in page.channels]
    names = [words.split(" · ", 1) for words in captions]
    texts = [
        TileText(channel, words, *parts) for channel, words, parts in zip(page.channels, captions, names, strict=True)
    ]
    return atlas, texts


def caption(layer: IndexedLayer, channel: int, chosen: Chosen) -> str:
    """What stands under a block, in parts, of which those are shown that have room."""
    best = layer.unit(channel).winners
    words = [f"channel {channel}"]
    if (place := int(chosen.places[channel])) and chosen.show == ENTERED:
        words.append(f"photo: place {place}")
    if chosen.found.get(channel):
        words.append(f"{chosen.found[channel]} of {len(best)}")
    elif chosen.selective is not None and (label := chosen.selective.commonest[channel]):
        words.append(f"{label} {chosen.selective.classes[channel][label]} of {len(best)}")
    return " · ".join([*words, *([f"up to {value_text(best[0].value)}"] if best else [])])


def ranking(layer: IndexedLayer, image: str, chosen: Chosen, most: int = 8) -> None:
    """In which channels the photograph would be among the winners, and where, as links."""
    entered = [int(c) for c in np.argsort(chosen.places, kind="stable") if chosen.places[c]]
    first, name = int((chosen.places == 1).sum()), escape_markdown(photo_cards.title_of(image))
    also = " (It is one of the images searched.)" if chosen.own else ""
    st.write(
        f"**{name}** is in the top {layer.k} of {len(entered)} of {plural(len(chosen.places), 'channel')}"
        f"{f', the strongest in {first}' if first else ''}.{also}"
        + (f" “Show: {ENTERED}” gives their wall." if entered else "")
    )
    if not entered:
        return
    with st.container(horizontal=True, gap="small"):
        indexing.unit_links((layer.layer, channel, f": place {chosen.places[channel]}") for channel in entered[:most])


# --- for print -----------------------------------------------------------------------------------------


def offer_files(layer: IndexedLayer, rule: str) -> None:
    """A button that makes the files, progress while they are made, then one button for each."""
    files, count = picture_cache().get((*layer.key, "sheet", rule), lambda: _plan_sheet(layer, rule))
    key, asked = str(files[0]), st.session_state.setdefault("sheets_asked", set())
    job = background.find(key) if key in asked else None
    if all(file.is_file() for file in files):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            for file, kind in zip(files, ("application/pdf", "image/png"), strict=True):
                words, name = f"Whole layer, {file.suffix[1:].upper()}", _name_file(layer, file.suffix)
                options: dict[str, Any] = dict(key=f"sheet{file.suffix}", on_click="ignore", icon=":material/download:")
                st.download_button(words, file.read_bytes(), name, kind, **options)
    elif job is not None and job.running:
        watch.draw_jobs("sheet", [key])
    elif st.button(f"Prepare the whole layer for print ({plural(count, 'unit')})", **PREPARE):
        asked.add(key)
        background.start(key, f"Drawing {layer.layer}", partial(_make_sheet, layer, rule))
        address.rerun()
    if job is not None and job.problem:
        st.error(escape_markdown(job.problem))


def _plan_sheet(layer: IndexedLayer, rule: str) -> tuple[tuple[Path, Path], int]:
    """The files, and how many units they show."""
    return _sheet_files(layer, rule), layer.index.channels(layer.layer)


def _sheet_files(layer: IndexedLayer, rule: str) -> tuple[Path, Path]:
    base = building.index_path(layer.network, layer.indexed.images).stem
    safe = layer.layer.replace("/", "_").replace(":", "_")
    name = f"{base}-{layer.index.meta.get('next')}-{safe}-{rule}"
    folder = uploads.cache_folder("sheets")
    return folder / f"{name}.pdf", folder / f"{name}.png"


def _name_file(layer: IndexedLayer, suffix: str) -> str:
    return f"{layer.network.model.name}-{layer.layer}-top9{suffix}".replace("/", "_").replace(":", "_")


def _make_sheet(layer: IndexedLayer, rule: str, report: Report) -> None:
    from cnnviz.figures.patches.sheet import choose_columns, layer_pages, patch_side, pdf_bytes, png_bytes
    from cnnviz.store import write_bytes_atomic

    index, images = layer.index, layer.indexed.images
    blocks, count = [], index.channels(layer.layer)
    columns = choose_columns(count)
    side = patch_side(columns)
    for channel in range(count):
        best = index.top(layer.layer, channel)
        reach = f": {value_text(best[0].value)} to {value_text(best[-1].value)}" if best else ""
        words = f"channel {channel}{reach}" if columns < 8 else f"{channel}{reach}"
        patches, low = ([_reduce(p, side) for p in part] for part in layer.draw_once(channel, rule))
        blocks.append(Block(channel, patches, low, words))
        if not report(Progress(channel + 1, count, "units")):
            return
    note = f"top-{layer.k} of {plural(index.meta['images'], 'image')} of {images.name}; {rule}; drawn with cnnviz"
    pages = layer_pages(blocks, f"{layer.network.model.name} · {layer.layer}", note, columns)
    for file, data in zip(_sheet_files(layer, rule), (pdf_bytes, png_bytes), strict=True):
        write_bytes_atomic(file, data(pages))


def _reduce(patch: np.ndarray, side: int) -> np.ndarray:
    """A patch no larger than it is drawn: whole inputs of a thousand units would fill the memory."""
    return patch if max(patch.shape[:2]) <= side else fit_tile(patch, side)
