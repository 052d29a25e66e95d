"""`cnnviz doctor` is truthful: what it says works was tried, what is broken is named, and the exit code says so."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from source_tree import ROOT

import cnnviz
from cnnviz.cli import main
from cnnviz.cli.doctor import checks
from cnnviz.cli.doctor.checks import BROKEN, NOTE, WORKS, Check
from cnnviz.errors import BadInput, CnnvizError
from cnnviz.models.bundled import SHIPPED, assets, bundled
from cnnviz.models.zoo.packaged import packaged
from cnnviz.studies.convolution.kernels import KERNELS, apply_kernel


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of the test's own."""
    for variable in ("CNNVIZ_CACHE", "CNNVIZ_DATA", "TORCH_HOME", "CNNVIZ_RUNS"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    for variable in ("CNNVIZ_ASSETS", "CNNVIZ_PLUGINS", "CNNVIZ_LANDSCAPES"):
        monkeypatch.delenv(variable, raising=False)


def by_name(findings: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in findings}


def test_the_weights_that_belong_to_cnnviz_are_all_here_and_their_answers_are_known():
    assert tuple(bundled()) == SHIPPED
    assert set(checks.ANSWERS) == {*SHIPPED, "efficientnet_lite0"}


def test_offline_and_without_an_extra_everything_works(monkeypatch, capsys):
    def refuse(*_args, **_more):
        raise OSError("no connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setitem(sys.modules, "timm", None)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "not installed (optional): pip install timm" in said and said.endswith("Everything works.\n")
    assert said.count("; works (answers") == len(bundled()) + len(packaged())
    assert not (Path(os.environ["CNNVIZ_CACHE"])).exists()  # looking leaves nothing behind


def test_without_assets_it_fails_and_no_random_weights_take_their_place(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CNNVIZ_ASSETS", str(tmp_path / "none"))
    assert main(["doctor", "--json"]) == 1
    said = capsys.readouterr()
    report = json.loads(said.out)
    broken = {(row["part"], row["name"]) for row in report["checks"] if row["state"] == BROKEN}
    assert report["works"] is False and "Broken: Files, Bundled networks." in said.err
    assert {("Files", "weights"), ("Files", "landscapes")} <= broken
    assert {name for part, name in broken if part == "Bundled networks"} == set(SHIPPED)
    for weights in (None, "bundled"):
        with pytest.raises(BadInput, match="are missing here.*CNNVIZ_ASSETS.*weights='random'"):
            cnnviz.load("resnet20_cifar", weights, "cpu")
    assert repr(cnnviz.load("resnet20_cifar", "random", "cpu")).startswith("<resnet20_cifar, random weights")
    assert main(["show", "resnet20_cifar", "--json"]) == 0  # what needs no weights goes on


def test_truncated_and_exchanged_weights_are_found(monkeypatch, tmp_path):
    (tmp_path / "assets" / "weights").mkdir(parents=True)
    monkeypatch.setenv("CNNVIZ_ASSETS", str(tmp_path / "assets"))
    here = ROOT / "assets" / "weights"
    whole = (here / "lenet5-mnist.safetensors").read_bytes()
    (tmp_path / "assets" / "weights" / "lenet5-mnist.safetensors").write_bytes(whole[: len(whole) // 2])
    other = bytearray((here / "resnet20_cifar-cifar10.safetensors").read_bytes())
    other[-40_000:] = bytes(40_000)  # zeros in the last layers: it loads
    (tmp_path / "assets" / "weights" / "resnet20_cifar-cifar10.safetensors").write_bytes(other)
    shutil.copy(here / "lenet5_avg-mnist.safetensors", tmp_path / "assets" / "weights")
    found = by_name(checks.check_networks())
    assert found["lenet5"].state == BROKEN and "lenet5-mnist.safetensors" in found["lenet5"].text
    assert found["resnet20_cifar"].state == BROKEN and "where 'truck' (6.16) is right" in found["resnet20_cifar"].text
    assert found["lenet5_avg"].state == WORKS


@pytest.mark.parametrize("why", ["libGL.so.1: cannot open shared object file: No such file or directory", ""])
def test_an_opencv_that_cannot_be_imported_is_told_with_the_reason(why, monkeypatch, tmp_path):
    if why:  # the wheel is here, and a library of the system is not
        (tmp_path / "cv2").mkdir()
        (tmp_path / "cv2" / "__init__.py").write_text(f"raise ImportError({why!r})")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "cv2", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "cv2", None)
    found = by_name(checks.check_versions())
    needed = ("libGL.so.1", "apt-get install libgl1 libglib2.0-0 libxcb1", "opencv-python-headless") if why else ()
    assert found["opencv-python"].state == BROKEN and found["torch"].state == WORKS
    assert all(word in found["opencv-python"].text for word in (*needed, "opencv-python"))
    with pytest.raises(CnnvizError) as said:
        apply_kernel(cnnviz.corpus("samples").image(0), KERNELS["sharpen"].weights)
    assert all(word in str(said.value) for word in (*needed, "opencv-python"))


def test_a_torch_of_another_version_is_told(monkeypatch, tmp_path):
    facts = tmp_path / "torch-1.13.1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.13.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = by_name(checks.check_versions())["torch"]
    assert found.state == BROKEN and "1.13.1, and cnnviz needs >=2.11,<2.16" in found.text


def test_folders_that_cannot_be_written_are_named_with_their_variable(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv("CNNVIZ_DATA", "/proc/cnnviz")
    found = by_name(checks.check_folders())
    assert found["app"].state == BROKEN and "Name a folder that can be written in CNNVIZ_CACHE" in found["app"].text
    assert found["data"].state == (BROKEN if Path("/proc").is_dir() else WORKS)
    assert found["weights"].state == WORKS
    monkeypatch.delenv("CNNVIZ_RUNS")
    monkeypatch.chdir("/proc" if Path("/proc").is_dir() else tmp_path)
    assert by_name(checks.check_folders())["runs"].state in (NOTE, WORKS)


def test_a_full_disk_is_found(tmp_path):
    with full_disk(1000):
        found = by_name(checks.check_folders())
    assert {one.state for one in found.values()} == {BROKEN} and "File too large" in found["app"].text
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert {one.state for one in checks.check_folders()} == {WORKS}


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file may become larger than `room` bytes: writing fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


NOBODY = """
import os, sys
from cnnviz.cli import main
from cnnviz.cli.doctor import doctor
for part in ("Versions", "Devices", "Bundled networks"):  # which take long, and have no folders
    del doctor.PARTS[part]
main(["doctor"])  # reads all modules while they can be read
print("As somebody else")
if os.name == "posix" and os.getuid() == 0:
    os.setgroups([])
    os.setuid(54321)  # whom nobody knows: no home folder, and no folder that is theirs
sys.exit(main(["doctor"]))
"""


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody else")
def test_somebody_without_a_home_and_with_another_encoding_is_told_what_is_broken(tmp_path):
    dropped = ("HOME", "CNNVIZ_CACHE", "CNNVIZ_DATA", "TORCH_HOME", "XDG_CACHE_HOME", "CNNVIZ_RUNS", "LC_ALL", "LANG")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "cp1252"}
    environment |= {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", NOBODY], cwd="/", env=environment, capture_output=True, timeout=300)
    out, said = done.stdout.decode("cp1252").partition("As somebody else")[2], done.stderr.decode("cp1252")
    assert done.returncode == 1, out + said
    assert "broken: " in out and "This user has no home folder" in out and "CNNVIZ_CACHE" in out
    assert "Traceback" not in out + said and said.strip().endswith("Broken: Folders.")


def test_what_the_project_needs_is_what_its_files_say():
    wanted = checks.read_requirements()
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    told = [line.partition("#")[0].strip() for line in lines if line.strip() and not line.startswith(("#", "-e"))]
    assert {f"{package}{versions}" for package, versions in wanted.items()} == set(told)


def test_the_folder_of_assets_is_the_project_s():
    assert assets() == ROOT / "assets"
