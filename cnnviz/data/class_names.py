"""Class names that belong to the public data sets."""

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()
MNIST = [str(digit) for digit in range(10)]
FASHION_MNIST = (*"T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag".split(), "Ankle boot")
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""
CIFAR100 = [name.replace("_", " ") for name in _CIFAR100.split()]  # the fine labels in the data set's order
KNOWN = {"cifar10": CIFAR10, "cifar100": CIFAR100, "mnist": MNIST, "svhn": MNIST}


def class_names(key: str | tuple[str, ...], count: int) -> list[str]:
    """`count` class names: `key` itself if it holds names, else those of the data set `key` ("imagenet" or
    a key of KNOWN); "class 0", … when the number of classes is another one."""
    names: list[str] = []
    if key == "imagenet" and count == 1000:
        from cnnviz.torchvision_import import models

        names = list(models._meta._IMAGENET_CATEGORIES)  # the list every torchvision weight carries
    elif key != "imagenet":
        names = list(KNOWN.get(key, [])) if isinstance(key, str) else list(key)
    return names if len(names) == count else [f"class {i}" for i in range(count)]
