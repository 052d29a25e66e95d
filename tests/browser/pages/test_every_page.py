"""Every page: its pictures fill the window at every size, and every word is whole and by itself, in presenter mode
too; its main control changes the picture and the URL, Back undoes it, the link brings it back; axe-core finds nothing
that is serious or critical, be it ours or Streamlit's."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from browser_layout import faults_of_layout
from browser_stage import faults_of_microscope, go_through_sizes
from visitors import TITLES, Visitor

pytestmark = pytest.mark.browser
PHOTO = "net=resnet20_cifar&image=chelsea"
DEEPER = "net=resnet20_cifar&layer=layer2.0"
GRAVE = ("serious", "critical")
PLOTTED = "p => p.data ? JSON.stringify([p.data, p.layout.yaxis.type, p.layout.yaxis.title]) : ''"


def shift_slider(name: str) -> Callable[[Visitor], None]:
    return lambda someone: someone.main.get_by_role("slider", name=name).press("ArrowRight")


def one_of(label: str, option: str) -> Callable[[Visitor], None]:
    return lambda someone: someone.pick(label, option)


def from_list(label: str, option: str) -> Callable[[Visitor], None]:
    return lambda someone: someone.choose(someone.main, label, option)


def next_channel(someone: Visitor) -> None:
    someone.bar.locator("[data-testid=stNumberInputStepUp]").first.click()


def next_draw(someone: Visitor) -> None:
    draw = someone.main.get_by_role("spinbutton", name="Draw")
    draw.fill("33")
    draw.press("Enter")


def corner(someone: Visitor) -> None:
    someone.main.get_by_role("button", name="Corner", exact=True).click()


@dataclass(frozen=True)
class Case:
    """A page: the link it opens with, its picture, its main control, and what the URL says afterwards."""

    link: str
    picture: str  # the beginning of its description
    act: Callable[[Visitor], None]
    told: dict[str, str] = field(default_factory=dict)
    microscope: bool = False  # the picture stands beside two of this image


CASES = {
    "": Case(
        "net=resnet20_cifar&image=chelsea",
        "The image after",
        lambda someone: someone.choose_image("coffee"),
        {"image": "coffee"},
    ),
    "inspect": Case(
        "net=resnet20_cifar&image=chelsea", "Saliency, Grad-CAM", shift_slider("Map's opacity [%]"), {"opacity": "75"}
    ),
    "camera": Case(
        "net=lenet5&layer=conv2&camera=Snapshot", "Feature maps of", one_of("Scale", "Each map"), {"scale": "Each map"}
    ),
    "filters": Case("net=lenet5&unit=1", "The chosen filter", next_channel, {"unit": "2"}),
    "feature-maps": Case(
        f"{DEEPER}&unit=17",
        "Feature maps of",
        one_of("Scale", "Each map"),
        {"scale": "Each map"},
        microscope=True,
    ),
    "top-9": Case(f"{DEEPER}&unit=17", "Top-9 wall of", next_channel, {"unit": "18"}, microscope=True),
    "preferred-inputs": Case(
        f"{DEEPER}&unit=17", "Preferred inputs of layer2.0", next_channel, {"unit": "18"}, microscope=True
    ),
    "unit": Case(f"{DEEPER}&unit=17", "The 9 winners of", next_channel, {"unit": "18"}, microscope=True),
    "anatomy": Case("net=resnet20_cifar", "Graph of", one_of("Equal blocks", "Folded"), {"repeats": "Folded"}),
    "training": Case("runs=bundled:lenet5", "Loss and accuracy", one_of("Loss", "Log"), {"lines": "Log"}),
    "noise": Case(
        "net=resnet20_cifar&image=chelsea", "Units of layer3.2", from_list("Dropped [%]", "30"), {"rate": "30"}
    ),
    "landscape": Case("view=Slices", "Slices", one_of("Loss", "Log"), {"lines": "Log"}),
    "equivariance": Case(
        "net=resnet20_cifar&layer=layer1.0&dx=2", "Shift of", from_list("Padding", "torus"), {"padding": "torus"}
    ),
    "receptive-fields": Case(
        "net=lenet5&layer=conv2&unit=3&average=this+image", "The field of", corner, {"row": "0", "col": "0"}
    ),
    "pooling": Case("net=lenet5", "Before and after", shift_slider("Shift to the right [pixels]"), {"right": "3"}),
    "backward": Case("depth=20", "Gradient of", from_list("Gradient of", "Activations"), {"of": "Activations"}),
    "normalisation": Case(PHOTO, "Answers as the batch grows", next_draw, {"batchdraw": "33"}),
    "playground": Case("", "Step", shift_slider("Step"), {"step": "2"}),
}


def shown(someone: Visitor, alt: str) -> str:
    """What the page's picture, drawing or plot shows, as a string that is another for another one; "" before it is
    there."""
    return someone.main.evaluate(
        """(main, alt) => {
          const all = (root, found = []) => {
            for (const e of root.querySelectorAll("*")) { found.push(e); if (e.shadowRoot) all(e.shadowRoot, found) }
            return found
          }
          const said = (e) => e.getAttribute("alt") || e.getAttribute("aria-label") || ""
          const kinds = "img, svg, .plot, canvas"
          const one = all(main).find((e) => e.matches(kinds) && said(e).startsWith(alt))
          if (!one) return ""
          const plotted = """
        + PLOTTED
        + """
          if (one.matches("canvas")) return one.dataset.stamp ? said(one) + one.dataset.stamp : ""
          return said(one) + (one.matches("img") ? one.src : one.matches("svg") ? one.innerHTML : plotted(one))
        }""",
        alt,
    )


def until_another(someone: Visitor, alt: str, old: str = "") -> str:
    """The picture once it is there, is another one than `old`, and nothing is being computed."""
    someone.until(lambda: shown(someone, alt) not in ("", old), f"another picture {alt!r}")
    someone.until(lambda: someone.main.get_by_text("being computed").count() == 0, "all of it is computed")
    seen = [""]

    def still() -> bool:
        someone.settled()
        seen.append(shown(someone, alt))
        return seen[-1] == seen[-2]

    someone.until(still, "the picture stays as it is")
    return seen[-1]


def until_told(someone: Visitor, told: dict[str, str | None]) -> None:
    """The URL carries these choices, or None for none."""
    someone.until(lambda: told.items() <= {**dict.fromkeys(told), **someone.query()}.items(), f"URL with {told}")


def assert_laid_out(someone: Visitor) -> None:
    """Nothing is cut off and nothing lies over another; what is still moving gets a moment."""
    someone.until(lambda: someone.tab.locator("[data-testid=stSkeleton]").count() == 0, "everything is drawn")
    for _ in range(10):
        if someone.fits() and not faults_of_layout(someone.tab):
            return
        someone.tab.wait_for_timeout(200)
    assert someone.fits(), "the page reaches beyond the window"
    assert faults_of_layout(someone.tab) == []


def hindrances(someone: Visitor) -> list[str]:
    """What axe-core finds, "rule: element" each."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found: dict[str, Any] = axe.run(someone.tab, options={"resultTypes": ["violations"]}).response
    return [
        f"{rule['id']}: {node['target']} {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for rule in found["violations"]
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]


def assert_accessible(someone: Visitor) -> None:
    """No serious hindrance; what is being drawn anew is pale for a moment."""
    for _ in range(3):
        if not hindrances(someone):
            return
        someone.tab.wait_for_timeout(1000)
    assert hindrances(someone) == []


@pytest.mark.parametrize("page", sorted(set(TITLES) - set(CASES)))
def test_a_page_whose_main_control_is_not_known_here_is_laid_out_well_too(visitor: Visitor, page: str):
    visitor.open(page)
    assert_laid_out(visitor)
    assert_accessible(visitor)


@pytest.mark.parametrize("page", CASES)
def test_it_fills_the_window_nothing_hinders_and_its_main_control_is_a_step_of_the_url(visitor: Visitor, page: str):
    case = CASES[page]
    visitor.open(page, case.link)
    first = until_another(visitor, case.picture)
    assert_accessible(visitor)
    wrong = go_through_sizes(
        visitor, page, look=lambda w: faults_of_microscope(visitor, case.picture, w) if case.microscope else []
    )
    assert not wrong, "\n".join(wrong)
    visitor.until(lambda: shown(visitor, case.picture) == first, "the first picture again")
    visitor.settled()
    unchosen = {key: visitor.query().get(key) for key in case.told}
    case.act(visitor)
    until_told(visitor, case.told)
    second = until_another(visitor, case.picture, first)
    link = visitor.tab.url.partition("?")[2]
    visitor.tab.go_back()
    until_told(visitor, unchosen)
    visitor.until(lambda: shown(visitor, case.picture) == first, "Back brings the first picture again")
    visitor.open(page, link)
    visitor.until(lambda: shown(visitor, case.picture) == second, "the link brings the second picture again")
    visitor.settled()
    visitor.tab.evaluate("document.activeElement?.blur()")  # a letter typed into a field is the field's
    visitor.press("f")
    visitor.until(lambda: not visitor.sidebar.is_visible(), "presenter mode hides the sidebar")
    assert_laid_out(visitor)
