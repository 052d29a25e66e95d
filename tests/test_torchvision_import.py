"""Two threads may come to torchvision and to PyTorch's own lazy parts in the same moment."""

import subprocess
import sys

MEETING = """
import sys, threading, time
from importlib.machinery import PathFinder
import cnnviz


within = threading.Event()

class Slow(PathFinder):
    "A disk that takes its time over the first file of torch._dynamo."
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if not name.startswith("torch._dynamo.") or within.is_set():
            return None
        within.set()
        spec = super().find_spec(name, path, target)
        execute = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (time.sleep(1.5), execute(module))
        return spec

sys.meta_path.insert(0, Slow)
failed = []

def follow(network):
    try:
        cnnviz.anatomy(network)  # on the meta device
    except BaseException as error:
        failed.append(error)

def build():
    within.wait(60)
    try:
        cnnviz.load("squeezenet1_1", weights="random")  # from torchvision
    except BaseException as error:
        failed.append(error)

threads = [threading.Thread(target=follow, args=(cnnviz.load("lenet5"),)), threading.Thread(target=build)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(within.is_set(), failed)
"""


def test_a_network_of_torchvision_can_be_built_while_another_thread_follows_one_for_the_first_time():
    done = subprocess.run([sys.executable, "-c", MEETING], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "True []", done.stdout + done.stderr
