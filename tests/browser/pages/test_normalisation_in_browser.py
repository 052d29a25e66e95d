"""The page of normalisation: its views fill the window, and a choice of γ and β is painted and in the address."""

import pytest
from browser_stage import go_through_sizes
from visitors import Visitor

pytestmark = pytest.mark.browser
SMALL = {"laptop": (1440, 900), "phone": (390, 844)}


@pytest.mark.parametrize("view", ["Axes", "Local response", "Feature scaling"])
def test_views_fill_the_window_and_no_word_is_cut_off(visitor: Visitor, view: str):
    visitor.open("normalisation", f"view={view.replace(' ', '+')}")
    wrong = go_through_sizes(visitor, "normalisation", SMALL)
    assert not wrong, "\n".join(wrong)


def test_the_identity_is_painted_and_back_brings_the_trained_values_again(visitor: Visitor):
    visitor.open("normalisation", "net=resnet20_cifar&view=A+channel&layer=layer1.0.bn1&unit=3")
    title = "p => p.layout.xaxis3.title.text"
    plot = visitor.main.locator(".plot[aria-label^='Histograms of layer1.0.bn1 · channel 3']")
    visitor.until(lambda: plot.count() and plot.evaluate("p => Boolean(p.layout)"), "the histograms are drawn")
    trained = plot.evaluate(title)
    visitor.pick("γ and β", "Identity")
    visitor.until_query(affine="Identity")
    visitor.until(lambda: plot.evaluate(title) != trained, "the identity is painted")
    residual = plot.evaluate(title).rpartition(" ")[2]
    assert float(residual) < 1e-12
    visitor.tab.go_back()
    visitor.until_query(affine=None)
    visitor.until(lambda: plot.evaluate(title) == trained, "the trained values again")
