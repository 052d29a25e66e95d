"""Class names that belong to the public data sets."""

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()
MNIST = [str(digit) for digit in range(10)]


def class_names(key: str, count: int) -> list[str]:
    """`count` names for the data set `key` ("imagenet", "cifar10", "mnist"); "class 0", … when the
    number of classes is another one."""
    known: list[str] = []
    if key == "imagenet" and count == 1000:
        from torchvision.models._meta import _IMAGENET_CATEGORIES  # the list every torchvision weight carries

        known = list(_IMAGENET_CATEGORIES)
    elif key in ("cifar10", "mnist"):
        known = CIFAR10 if key == "cifar10" else MNIST
    return list(known) if len(known) == count else [f"class {i}" for i in range(count)]
