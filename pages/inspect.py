"""Inspect your image: what the network answers, and what in the image the answer depends on."""

from app.pickers import bar, controls
from app.views.inspect import answer, attribution, neighbours, occlusion, sanity
from app.views.inspect.results import Subject

PAGE = {
    "title": "Inspect your image",
    "address": "inspect",
    "icon": ":material/image_search:",
    "place": 10,
    "group": "See",
}

VIEWS = ["Answer", "Attribution", "Occlusion", "Sanity check", "Neighbours"]

title = controls.heading("Inspect your image")
network = controls.pick_network(title)
image = controls.pick_image(network)
row = bar.row()
with row:
    view = controls.bind_choice("View", "view", VIEWS)
subject, opacity = Subject(network, image), 1.0
if view != "Neighbours":
    subject = answer.pick_class(row, network, image)
    opacity = answer.pick_opacity(row)
if view == "Occlusion":
    square, unit = occlusion.pick_square(row, network), occlusion.pick_map(network, image)
elif view == "Attribution":
    others = attribution.pick_others(row, network, image)
elif view == "Sanity check":
    method = sanity.pick_method(row)
controls.show_device(network)

if view == "Answer":
    answer.view(subject, opacity)
elif view == "Attribution":
    attribution.view([subject, *(Subject(network, name, subject.label) for name in others)], opacity)
elif view == "Occlusion":
    occlusion.view(row, subject, square, unit, opacity)
elif view == "Sanity check":
    sanity.view(subject, method, opacity)
else:
    neighbours.view(subject)
