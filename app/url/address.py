"""The choices of the view and the URL, kept equal: a copied link opens the same view in a new browser, choices
move along to other pages, Back and Forward work. Changes of page from within go the same way.

The view is a function of the URL. A choice that equals its default is left out and follows the default. What
the user has just touched wins over the URL; otherwise the URL wins over what widgets remember. Streamlit's
own `bind="query-params"` loses choices on the first change of page and fills the history with half-written
addresses."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote, unquote

import streamlit as st

from app.url.late import Told, is_history_step, read_location

_KEY = "address"  # of the memory in the session
_OFFERED = "offered"  # in the session: {key: values} of the pickers on this page, for the keyboard
_PAGE = "offered_on"  # in the session: that page
_STEPPED = "stepped"  # in the session: {key: what the keyboard chose}
_GO = "go"  # in the session: (page, query) to be drawn next
_TARGET = "going"  # in the session: (page, query, number of the press) of the last change that a key asked for
RENAMED = {
    "Photo enters": "Channels with your photo in the top 9",
    "Most often on": "Most often active",
    "Most seldom on": "Least often active",
    "Seen how often": "Coverage",
}  # choices of older links
_UNQUOTED = "/:;@ +&=$!*'()[]{}~"  # of a value among several, beside letters and digits
_LAG = 0.7  # seconds for which a browser that has drawn a page may still send a value of the page before


@dataclass(slots=True)
class _Memory:
    """`query`: the choices as the last whole run left them in the URL; `shown`: what each widget had then.
    `draft`, `noted`: the same of the present run. `drawn`: the widgets that this page has drawn already.
    `again`: the next run is one that this one asked for; `redrawn`: this one is. `links`: how often the URL was the
    truth for every choice.
    `behind`: the browser may not show the URL: of a link to the page it is on it tells the server alone, and after a
    step through its history the URL of a run that ended meanwhile may have reached it. `told`: see there; `target`:
    (page, query) of the last change of page from within."""

    page: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)
    draft: dict[str, str] = field(default_factory=dict)
    noted: dict[str, Any] = field(default_factory=dict)
    drawn: set[str] = field(default_factory=set)
    again: bool = False
    redrawn: bool = False
    links: int = 0
    behind: bool = False
    told: Told = field(default_factory=Told)
    target: tuple[str, dict[str, str]] | None = None


def _memory() -> _Memory:
    return st.session_state.setdefault(_KEY, _Memory())


def begin(page: str) -> None:
    """Call before the page is drawn. Another page, a step through the browser's history (whatever was touched just
    before it), or another URL while no widget was touched (a link), makes the URL the truth for every choice. An
    address that the browser was told to leave is none of these."""
    memory, asked = _memory(), {key: RENAMED.get(text, text) for key, text in st.query_params.to_dict().items()}
    memory.redrawn = memory.again
    again, memory.again = memory.again, False  # such a run may bring a URL that the browser sent before it had the new
    moved, late = is_history_step(), memory.told.catch_up(own=again)
    linked = asked != memory.query and not (again or late) and not any(map(_touched, memory.shown))
    if page != memory.page or moved or linked:
        memory.told.stay()
        _stepped().clear()  # what a key chose before counts no more, also where its run was cut short
        memory.drawn = memory.drawn if page == memory.page else set()
        memory.behind = moved or page == memory.page
        memory.page, memory.query, memory.links = page, asked, memory.links + 1
        memory.shown = {key: st.session_state[key] for key in memory.shown if key in st.session_state}
    memory.draft, memory.noted = dict(memory.query), dict(memory.shown)
    _begin_widgets(page)


def is_redrawn() -> bool:
    """Whether this run is one that the run before asked for, and no step of the visitor's."""
    return _memory().redrawn


def leave() -> None:
    """Call before a change of page from within: the URL that it brings is the truth for every choice, also where
    the page stays the same."""
    _memory().page = None


def page() -> str | None:
    """The address of the page drawn last; None before the first."""
    return _memory().page


def count_links() -> int:
    """How many links this session has opened, other pages, Back and Forward among them: while it stays the same, what
    is shown was chosen on this page."""
    return _memory().links


def finish(drawn: bool = False) -> None:
    """Call after the page is drawn, `drawn`: to its end. The URL gets what was chosen, in one step of the browser's
    history. A run that the user's next click interrupts never comes here, so that what was touched still counts as
    touched."""
    memory = _memory()
    memory.query, memory.shown = dict(memory.draft), dict(memory.noted)
    if memory.behind or memory.query != st.query_params.to_dict():
        memory.told.leave()
        st.query_params.from_dict(memory.query)  # a browser that shows it already makes no step
        memory.told.stay()
    memory.behind = False
    if drawn:
        memory.told.end_run(memory.shown)
        _mark_shown()


def rerun() -> NoReturn:
    """Draw the page anew. A rerun takes the URL of this moment along, which must not be that of before."""
    _memory().told.catch_up()  # in a fragment, which `begin` has not seen
    finish()
    _memory().again = True
    st.rerun()


def _touched(key: str) -> bool:
    """True if the user or a callback has set or reset this choice since it was shown."""
    memory = _memory()
    if key in st.session_state:
        return key not in memory.shown or st.session_state[key] != memory.shown[key]
    return key in memory.shown


def prepare(key: str, default: Any, parse: Callable[[str], Any], offered: Container[Any] | None = None) -> None:
    """Give the widget `key` its value before it is drawn.

    `parse` reads the URL's text, None where it cannot; a value that is not `offered` gives way to the default."""
    memory, touched = _memory(), _touched(key)
    value = st.session_state.get(key) if touched else parse(memory.query.get(key, ""))
    if value is None or (offered is not None and value not in offered):
        value = default
    if not touched:
        memory.shown[key] = value
    # a widget of the same key on another page has left its value behind, which Streamlit does not hand over
    if key not in memory.drawn or key not in st.session_state or st.session_state[key] != value:
        memory.told.replace(key, value)
        st.session_state[key] = value


def choose(key: str, value: Any) -> None:
    """In a callback: as if the user had chosen this, also where it is what a mere default shows now."""
    _memory().told.replace(key, value)
    _memory().shown.pop(key, None)
    st.session_state[key] = value


def reset(key: str) -> None:
    """In a callback: as if the user had chosen what is the default."""
    _memory().told.clear(key)
    _memory().shown.setdefault(key, None)
    st.session_state.pop(key, None)


def take_back(key: str) -> bool:
    """Before the widget is drawn: undo what the user has just chosen. False if nothing was."""
    memory = _memory()
    if not _touched(key):
        return False
    st.session_state.pop(key, None)
    if key in memory.shown:
        st.session_state[key] = memory.shown[key]
    return True


def record(key: str, value: Any, default: Any) -> None:
    """Note what the widget `key` answered."""
    memory = _memory()
    memory.noted[key] = value
    memory.drawn.add(key)
    memory.draft.pop(key, None)
    if value != default:
        memory.draft[key] = _as_text(value)


def _as_text(value: Any) -> str:
    """As it stands in the URL: several values between commas."""
    return ",".join(quote(one, safe=_UNQUOTED) for one in value) if isinstance(value, list) else str(value)


def forget(*keys: str) -> None:
    """This view has no such choices: neither the URL nor the session keeps them."""
    memory = _memory()
    for key in keys:
        memory.draft.pop(key, None)
        memory.noted.pop(key, None)
        st.session_state.pop(key, None)


def read(key: str) -> str:
    """The choice as text before its widget is drawn; "" where it is the default."""
    if _touched(key):
        return _as_text(st.session_state.get(key) or "")
    return _memory().query.get(key, "")


def view() -> dict[str, str]:
    """The choices of the last whole run."""
    return dict(_memory().query)


def link(leave_out: tuple[str, ...] = (), **changes: Any) -> dict[str, str]:
    """Query parameters of the present view, with changes, for a link to another page."""
    kept = {key: value for key, value in _memory().draft.items() if key not in leave_out}
    return {**kept, **{key: str(value) for key, value in changes.items()}}


# --- widgets whose value lives in the URL ------------------------------------------------------------------


class _Step(NamedTuple):
    """A value that the keyboard chose. `press`: number of the press; `shown`: when the run that shows it had ended,
    by time.monotonic(); None until then."""

    value: Any
    press: int
    shown: float | None = None


def bind(widget: Callable[..., Any], label: str, key: str, default: Any, **options: Any) -> Any:
    """A widget whose value lives in the URL and moves along to other pages. A value that is not among the
    options, or not between `min_value` and `max_value`, gives way to `default`."""
    if (stepped := _stepped().get(key)) and st.session_state.get(key) != stepped.value:
        if stepped.shown is None:
            choose(key, stepped.value)  # the run that should show it was cut short
        else:
            del _stepped()[key]  # chosen by hand since
    if "options" in options:
        named = {str(option): option for option in options["options"]}
        prepare(key, default, named.get, options["options"])
        _offered()[key] = options["options"]
    elif isinstance(default, bool):
        prepare(key, default, lambda text: text.lower() in ("true", "1", "yes", "on"))
        if not options.get("disabled"):
            _offered()[key] = (False, True)
    elif "min_value" in options:
        numbers = range(options["min_value"], options["max_value"] + 1)
        prepare(key, default, _whole_number, numbers)
        _offered()[key] = numbers
    else:
        prepare(key, default, str)
    value = widget(label, key=key, persist_state="session", **options)
    record(key, value, default)
    return value


def bind_several(
    widget: Callable[..., Any], label: str, key: str, default: list[str], options: list[str], **settings: Any
) -> list[str]:
    """As `bind`, for a widget of which several options are chosen. What is no longer offered is left out; none at all
    are the default."""

    def parse(text: str) -> list[str] | None:
        return [one for one in map(unquote, text.split(",")) if one in options] or None

    prepare(key, default, parse)
    offered = [one for one in st.session_state[key] if one in options] or default
    if offered != st.session_state[key]:
        st.session_state[key] = offered
    value = list(widget(label, key=key, persist_state="session", options=options, **settings)) or default
    record(key, value, default)
    return value


def keep(key: str) -> str:
    """The choice as text, of a picker that this page has not: it moves along, and a callback may choose another."""
    prepare(key, "", str)
    value = str(st.session_state[key])
    record(key, value, "")
    return value


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def bind_choice(label: str, key: str, options: list[str]) -> str:
    """One of a few options, side by side; the first is the default."""
    return bind(st.segmented_control, label, key, options[0], options=options, required=True)


def _offered() -> dict[str, Sequence[Any]]:
    return st.session_state.setdefault(_OFFERED, {})


def _begin_widgets(page: str | None) -> None:
    """What a page does not offer cannot be stepped through. What it offered before stays until it is drawn anew, so
    that a key pressed meanwhile finds it."""
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE] = page
        _offered().clear()


def _stepped() -> dict[str, _Step]:
    return st.session_state.setdefault(_STEPPED, {})


def _mark_shown() -> None:
    for key, stepped in _stepped().items():
        if stepped.shown is None:
            _stepped()[key] = stepped._replace(shown=time.monotonic())


def acknowledge(press: int) -> None:
    """In a callback: the browser shows what all presses up to this number did, and, a moment later, sends its own
    values again. What it sent along with a press made before that is older than what the keyboard chose; and the
    address of the page on which such a press was made must not undo a change of page."""
    for key, stepped in list(_stepped().items()):
        if stepped.press <= press and stepped.shown is not None and time.monotonic() - stepped.shown > _LAG:
            del _stepped()[key]
        elif st.session_state.get(key) != stepped.value:
            choose(key, stepped.value)
    target = st.session_state.get(_TARGET)
    if target is not None and target[2] > press:
        st.session_state[_GO] = target[:2]
    else:
        st.session_state.pop(_TARGET, None)


def put(key: str, value: Any, press: int) -> None:
    """In a callback: the keyboard chooses this value. `press`: number of the key press; until the browser has
    `seen` it, it sends its old values along with the next one, which must not undo this one."""
    _stepped()[key] = _Step(value, press)
    choose(key, value)


def step(key: str, by: int, press: int = 0) -> bool:
    """In a callback: the value `by` places further on in the picker `key`, not beyond its ends. False if this page
    has no such picker or nothing changes. `press`: see `put`."""
    values, value = _offered().get(key, ()), st.session_state.get(key)
    if value not in values:
        return False
    place = min(max(values.index(value) + by, 0), len(values) - 1)
    if values[place] == value:
        return False
    put(key, values[place], press)
    return True


# --- changes of page from within -----------------------------------------------------------------------


def go(page: str, query: dict[str, str], press: int = 0) -> None:
    """In a callback, or before `perform`: the page at this address is drawn next. Presenter mode stays as it is.

    `press`: number of the key press that asks for it, 0 for none."""
    st.session_state[_GO] = page, query
    if press:
        st.session_state[_TARGET] = page, query, press


def peek() -> tuple[str, dict[str, str]] | None:
    """(page, query) of a change that was asked for and not yet made."""
    return st.session_state.get(_GO)


def perform(pages: dict[str, Any], here: str) -> None:
    """Call before the page is drawn: make the change that was asked for, or the last one once more, where the browser
    sends the page that it was told to leave. `pages`: {address: page}; `here`: the one that it sent."""
    asked = st.session_state.pop(_GO, None) or _turn_back(pages, here)
    if asked is None or asked[0] not in pages:
        return
    page, query = asked
    kept = {"present": "True"} if read("present") else {}
    query = {key: value for key, value in query.items() if key != "present"} | kept
    memory = _memory()
    memory.told.leave()
    memory.target = page, query
    leave()
    st.switch_page(pages[page], query_params=query)


def _turn_back(pages: dict[str, Any], here: str) -> tuple[str, dict[str, str]] | None:
    """(page, query) to which the browser has still to go; None where it is, or wants to be elsewhere."""
    memory = _memory()
    if memory.page is None:  # not arrived yet
        target, there = memory.target, memory.target == (here, st.query_params.to_dict())
    else:
        target, there = (memory.page, memory.query), memory.page == here
    if target is None or there or not memory.told.is_late():
        return None
    return target if read_location(pages) in (here, None) else None  # a link on the new page may lead to the old
