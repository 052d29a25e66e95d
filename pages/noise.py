"""Noise in training, average in evaluation: dropout, DropConnect, stochastic depth, removed blocks, augmentation."""

from app.pickers import bar, controls
from app.views.noise import augmentation, depth, drop_connect, dropout, removed, results, table

PAGE = {
    "title": "Noise in training",
    "address": "noise",
    "icon": ":material/grain:",
    "place": 127,
    "group": "Learn",
}

DROPOUT, CONNECT, DEPTH, REMOVED = "Dropout", "DropConnect", "Stochastic depth", "Blocks removed"
AUGMENTATION, TABLE = "Augmentation", "Table"
DEEP, SHALLOW = "resnet56_cifar", "resnet20_cifar"  # networks that views open on

title = controls.heading("Noise in training")
row = bar.row()
with row:
    view = controls.bind_choice("View", "view", [DROPOUT, CONNECT, DEPTH, REMOVED, AUGMENTATION, TABLE])
first = {DEPTH: DEEP, REMOVED: DEEP, AUGMENTATION: SHALLOW}.get(view) or results.first_with_dropout()
network = controls.pick_network(title, first)
image = controls.pick_image(network)
if view == TABLE:
    table.view()
else:
    shown = {
        DROPOUT: dropout,
        CONNECT: drop_connect,
        DEPTH: depth,
        REMOVED: removed,
        AUGMENTATION: augmentation,
    }[view]
    shown.view(network, image, row)
controls.show_device(network)
