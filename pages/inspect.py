"""Inspect your image: what the network answers, and what in the image the answer depends on."""

from dataclasses import replace

from app.pickers import bar, comparison, controls
from app.pickers.comparison import Side
from app.views.inspect import answer, attribution, gallery, neighbours, occlusion, preferred, sanity
from app.views.inspect.results import Subject, subject_of

PAGE = {
    "title": "Inspect your image",
    "address": "inspect",
    "icon": ":material/image_search:",
    "place": 10,
    "group": "See",
}

KINDS = ("random", "weights", "net", "image")
VIEWS = ["Answer", "Attribution", "Preferred input", "Occlusion", "Sanity check", "Neighbours", "Gallery"]

title = controls.heading("Inspect your image")
network = controls.pick_network(title)
image = controls.pick_image(network)
row = bar.row()
with row:
    view = controls.bind_choice("View", "view", VIEWS)
sides = [Side(network, image)]
if view in ("Answer", "Attribution", "Preferred input"):
    sides = comparison.pick_sides(network, image, kinds=KINDS)
subject, opacity = Subject(network, image), 1.0
if view not in ("Neighbours", "Gallery"):
    subject = answer.pick_class(row, network, image)
    opacity = answer.pick_opacity(row) if view != "Preferred input" else opacity
if view == "Occlusion":
    square, unit = occlusion.pick_square(row, network), occlusion.pick_map(network, image)
elif view == "Attribution":
    others = attribution.pick_others(row, network, image)
elif view == "Sanity check":
    method = sanity.pick_method(row)
controls.show_device(network)

subjects = comparison.collect(sides, lambda side: subject_of(side, subject))
common = len(subjects) > 1 and view != "Preferred input" and controls.pick_scale(row)
if view == "Answer":
    answer.view(subjects, opacity, common)
elif view == "Attribution":
    halves = {
        side: [one, *(subject_of(replace(side, image=name), Subject(network, name, subject.label)) for name in more)]
        for side, one in subjects.items()
        for more in [others if side.image == image else []]
    }
    attribution.view(halves, opacity, common)
elif view == "Preferred input":
    preferred.view(subjects)
elif view == "Occlusion":
    occlusion.view(row, subject, square, unit, opacity)
elif view == "Sanity check":
    sanity.view(subject, method, opacity)
elif view == "Gallery":
    gallery.view(network)
else:
    neighbours.view(subject)
