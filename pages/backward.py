"""The backward pass: gradients layer by layer, activations and their slopes, the loss, and backward through layers."""

from app.pickers import bar, controls
from app.views.backward import activations, by_hand, descent, flow, outputs, through

PAGE = {
    "title": "Backward",
    "address": "backward",
    "icon": ":material/undo:",
    "place": 128,
    "group": "Learn",
}

LAYERS, ACTIVATIONS, LOSS = "Layer by layer", "Activations", "Loss"
THROUGH, HAND, DESCENT = "Through a layer", "By hand", "Descent"
TELLING = {ACTIVATIONS: "lenet5_tanh", LOSS: "resnet20_cifar"}  # networks that the views open on

title = controls.heading("Backward")
row = bar.row()
with row:
    view = controls.bind_choice("View", "view", [LAYERS, ACTIVATIONS, LOSS, THROUGH, HAND, DESCENT])
if view == LAYERS:
    flow.view(title, row)
elif view == HAND:
    by_hand.view(row)
elif view == DESCENT:
    descent.view(row)
elif view == THROUGH:
    through.view(title, row)
else:
    network = controls.pick_network(title, TELLING[view])
    image = controls.pick_image(network, "camera" if view == LOSS else "")  # an answer in doubt has a gradient
    if view == ACTIVATIONS:
        activations.view(network, image, row)
    else:
        outputs.view(network, image, row)
