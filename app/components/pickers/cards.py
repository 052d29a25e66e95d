"""A picker whose choices are cards: a compact button opens a panel with a search field, groups of cards with facts and
thumbnails, and actions; a file dropped anywhere on the page can be its choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from app.components.newest import keep_newest, number_data
from app.components.source import read_source

_render = st.components.v2.component(
    "cnnviz_cards",
    css=read_source("pickers/cards.css", "pickers/dropping.css"),
    js=keep_newest(read_source("pickers/card_search.js", "pickers/dropping.js", "pickers/cards.js")),
)


@dataclass(frozen=True, slots=True)
class Card:
    """One choice. All words are plain text.

    `value`: what is chosen. `title`: what it is called. `group`: the heading it stands under. `badge`: one or two words
    that stand out. `facts`: short ones, in one line. `note`: found by typing, and shown when pointed at. `thumbnail`:
    a data URL, "" for none. `removable`: with a cross that removes it."""

    value: str
    title: str
    group: str = ""
    badge: str = ""
    facts: tuple[str, ...] = ()
    note: str = ""
    thumbnail: str = ""
    removable: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the script; `dataclasses.asdict` takes ten times as long, at every run."""
        return {
            "value": self.value,
            "title": self.title,
            "group": self.group,
            "badge": self.badge,
            "facts": self.facts,
            "note": self.note,
            "thumbnail": self.thumbnail,
            "removable": self.removable,
        }


@dataclass(frozen=True, slots=True)
class Action:
    """A button at the foot of the panel. `opens_files`: it opens the browser's window for files instead of calling
    `on_action`."""

    name: str
    label: str
    opens_files: bool = False


@dataclass(frozen=True, slots=True)
class Dropping:
    """Files that are dropped anywhere on the page, one after the other handed to a file uploader.

    `uploader`: key of the container that holds it. `endings`: of the names that are taken. `megabytes`: of one file.
    `hint`: shown over the window while a file is dragged. `received`: how many files the server has dealt with; the
    next file waits until it has grown."""

    uploader: str
    endings: tuple[str, ...]
    megabytes: int
    hint: str
    received: int


def draw_cards(
    label: str,
    key: str,
    cards: Sequence[Card],
    chosen: str,
    on_pick: Callable[[str], Any],
    on_remove: Callable[[str], Any] | None = None,
    on_action: Callable[[str], Any] | None = None,
    on_open: Callable[[], Any] | None = None,
    on_drop: Callable[[int, list[str]], Any] | None = None,
    actions: Sequence[Action] = (),
    search: str = "Search",
    new_names: bool = False,
    tiles: bool = False,
    dropping: Dropping | None = None,
) -> None:
    """Draw the button and its panel. `chosen`: the value that the button shows.

    `on_pick(value)`, `on_remove(value)`, `on_action(name)`, `on_open()` when the panel opens, and `on_drop(files that
    will come, names of those that are not taken)` run before the page is drawn again, once each. `search`: what the
    empty search field says. `new_names`: what was typed can be chosen, too. `tiles`: thumbnails above their titles."""
    done = f"{key}_cards_done"
    calls: dict[str, Callable[..., Any] | None] = {
        "pick": on_pick,
        "remove": on_remove,
        "action": on_action,
        "open": on_open,
        "drop": on_drop,
    }

    def said() -> None:
        messages: Any = st.session_state.get(f"{key}_cards", {}).get("say") or []
        for serial, kind, *values in messages:
            if serial > st.session_state.get(done, 0):
                st.session_state[done] = serial
                if (call := calls.get(kind)) is not None:
                    call(*values)

    data = {
        "label": label,
        "cards": [card.as_dict() for card in cards],
        "chosen": chosen,
        "actions": [asdict(action) for action in actions],
        "search": search,
        "newNames": new_names,
        "tiles": tiles,
        "tellsOpening": on_open is not None,
        "dropping": asdict(dropping) if dropping else None,
        "done": st.session_state.get(done, 0),
    }
    _render(key=f"{key}_cards", data=number_data(f"{key}_cards", data), on_say_change=said)


def pick_card(label: str, *, key: str, options: Sequence[str], persist_state: str, **drawn: Any) -> str:
    """The value of `key` in the session, with the cards to choose another: a widget for `address.bind`. `drawn`: as
    for `draw_cards`."""
    chosen = str(st.session_state[key])
    draw_cards(label, key, chosen=chosen, **drawn)
    return chosen
