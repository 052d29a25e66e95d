"""Weights files that harm whoever opens them, with the reason for which each is refused."""

import resource
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import badfiles as bad

CODE = r"pickled Python objects.*can run code.*torch\.save\(model\.state_dict\(\)"


HOSTILE = {  # file: (maker, reason): whoever opens these runs a stranger's program
    "shell command, zip": (bad.hidden(bad.shell, True), rf"system.*{CODE[22:]}"),
    "shell command, legacy": (bad.hidden(bad.shell, False), rf"system.*{CODE[22:]}"),
    "eval, zip": (bad.hidden(bad.evaluates, True), CODE),
    "eval, legacy": (bad.hidden(bad.evaluates, False), CODE),
    "a call in a call, zip": (bad.hidden(bad.imports, True), CODE),
    "object array, zip": (bad.hidden(bad.object_array, True), CODE),
    "object array, legacy": (bad.hidden(bad.object_array, False), CODE),
    "bare pickle": (bad.bare_pickle(4), "is a pickled Python object"),
    "bare pickle as text": (bad.bare_pickle(0), "is a pickled Python object"),
    "shell command in a module, zip": (bad.in_module(bad.shell, True), rf"system.*{CODE[22:]}"),
    "shell command in a module, legacy": (bad.in_module(bad.shell, False), rf"system.*{CODE[22:]}"),
    "eval in a module": (bad.in_module(bad.evaluates, True), rf"builtins.eval.*{CODE[22:]}"),
    "a call in a call in a module": (bad.in_module(bad.imports, True), rf"mkdir.*{CODE[22:]}"),
    "a process in a module": (bad.in_module(bad.starts, True), rf"subprocess.Popen.*{CODE[22:]}"),
    "a program that a module only names": (bad.in_module(bad.names, True), rf"system.*{CODE[22:]}"),
    "a bound method that is called": (bad.with_pickle(bad.called_method()), rf"Net.call.*{CODE[22:]}"),
    "a file that torch would open": (bad.in_module(bad.opens, True), rf"torch.serialization.load.*{CODE[22:]}"),
    "TorchScript": (bad.torchscript, "TorchScript archive, which is a program"),
}


BOMBS = {  # small files that would take memory or time without end
    "compressed archive": (bad.deflated, "compressed archive"),
    "compressed list of contents": (
        bad.zipped({"archive/data.pkl": bytes(30_000_000)}, bad.zipfile.ZIP_DEFLATED),
        "compressed archive",
    ),
    "expanded by stride 0": (
        bad.forgery(size=(100_000, 100_000), stride=(0, 0), declared=4),
        "declares a tensor of 10,000,000,000 elements",
    ),
    "a size beyond the cap": (
        bad.forgery(size=(10**10,), stride=(1,), declared=10**10),
        "declares 40,000,000,000 bytes where it holds 16",
    ),
    "legacy, a size beyond the file": (bad.legacy_overdeclared, "declares 8,000,000,000 bytes"),
    "one storage under many names": (bad.one_storage_for_all, "4,613,734,400 bytes of tensors, which share"),
    "tuples of tuples": (bad.with_pickle(bad.doubled_tuples()), "cut short or damaged"),
    "a million objects": (bad.with_pickle(bad.many_objects()), "more than 100,000 objects"),
    "a million tuples of tuples": (bad.with_pickle(b"\x80\x02(" + b")\x85\x85" * 300_000 + b"l."), "100,000 tuples"),
    "one text a million times": (bad.with_pickle(bad.many_texts()), "copies of copies"),
    "modules that are their own children": (
        bad.with_pickle(bad.endless_modules()),
        "modules within modules without end",
    ),
    "modules that share their children": (bad.with_pickle(bad.doubled_modules()), "modules within modules without end"),
    "tuples as deep as the file": (
        bad.with_pickle(b"\x80\x02K\x01" + b"\x85" * 90_000 + b"."),
        "cut short or damaged .*tuples in tuples",
    ),
    "a long list of contents": (bad.with_pickle(b"\x80\x02" + b"]" * 9_000_000), "list of contents of 9,000,002"),
    "safetensors, a header without end": (
        bad.safetensors({"w": bad.floats(0, 16, 4)}, length=2**39),
        "declares a header of 549,755,813,888 bytes",
    ),
    "safetensors, a tensor without end": (
        bad.safetensors({"w": bad.floats(0, 4 * 10**12, 10**12)}),
        "cut short or damaged",
    ),
}


DAMAGED = {
    "zip, cut short": (bad.truncated("zip", 0.7), "cut short or damaged"),
    "legacy, cut short": (bad.truncated("legacy", 0.7), "cut short"),
    "safetensors, cut short": (bad.truncated("safetensors", 0.7), "cut short or damaged"),
    "safetensors, cut in its header": (bad.truncated("safetensors", 0.001), "cut short or damaged"),
    "safetensors, two tensors on one place": (
        bad.safetensors({"v": bad.floats(0, 16, 4), "w": bad.floats(8, 16, 2)}),
        "cut short or damaged",
    ),
    "safetensors, beyond the end": (
        bad.safetensors({"v": bad.floats(0, 16, 4), "w": bad.floats(16, 32, 4)}),
        "cut short or damaged",
    ),
    "safetensors, shape and bytes disagree": (bad.safetensors({"w": bad.floats(0, 16, 5)}), "cut short or damaged"),
    "empty": (bad.as_bytes(b""), "is empty"),
    "one byte": (bad.as_bytes(b"P"), "cut short"),
    "zip of nothing": (bad.as_bytes(b"PK\x03\x04 and no more"), "cut short or damaged"),
    "noise": (bad.as_bytes(bytes(range(256)) * 20), "neither a torch nor a safetensors"),
}


@contextmanager
def memory(extra: int):
    """Allows the process `extra` bytes beyond what it has; whoever asks for more gets an error (Linux only)."""
    size = Path("/proc/self/statm")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    if size.exists():
        held = int(size.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + extra, limits[1]))
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < extra
    finally:
        tracemalloc.stop()
        resource.setrlimit(resource.RLIMIT_AS, limits)
