"""What the files for containers and hosts say is true of this project, as far as that can be seen without a daemon."""

import json
import re
import shlex

import yaml
from source_tree import ROOT

from cnnviz.cli import build_parser
from cnnviz.cli.classroom import server_command
from cnnviz.errors import _SYSTEM


def instructions(text: str) -> list[tuple[str, str]]:
    """(instruction, what stands behind it) of a Dockerfile."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


DOCKERFILE = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def last(name: str) -> str:
    return [rest for instruction, rest in DOCKERFILE if instruction == name][-1]


def test_the_container_starts_the_app_as_a_user_without_rights_and_looks_after_it():
    assert last("FROM").startswith("python:3.12-slim")
    assert last("USER") == "1000" and "--uid 1000" in " ".join(rest for _, rest in DOCKERFILE)
    program, *arguments = json.loads(last("CMD"))
    options = build_parser().parse_args(arguments)
    assert (program, options.command, options.host, options.no_browser) == ("cnnviz", "app", "0.0.0.0", True)
    check = last("HEALTHCHECK")
    assert f":{options.port}/_stcore/health" in check and last("EXPOSE") == str(options.port)
    compile(json.loads(check[check.index("[") :])[2], "health", "exec")


def test_the_container_and_the_cloud_bring_what_opencv_asks_of_the_system():
    libraries = _SYSTEM["cv2"][0].split()
    installed = next(rest for _, rest in DOCKERFILE if "apt-get install" in rest)
    assert set(libraries) <= set(installed.split())
    assert (ROOT / "packages.txt").read_text(encoding="utf-8").split() == libraries


def test_the_container_s_pytorch_is_the_project_s():
    (line,) = [rest for _, rest in DOCKERFILE if "download.pytorch.org" in rest]
    wanted = [word for word in shlex.split(line) if word.startswith("torch")]
    told = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert len(wanted) == 2 and set(wanted) <= set(told)


def test_what_is_not_sent_to_the_builder_is_not_needed_by_it():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ".venv" in ignored and ".git" in ignored
    assert not {"app", "cnnviz", "pages", "assets", "docs", "README.md", "LICENSE", "pyproject.toml"} & set(ignored)


def test_the_class_behind_a_proxy_answers_to_its_public_name_alone():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    command = [word.replace("${SITE}", "cnn.example.org") for word in services["cnnviz"]["command"]]
    options = build_parser().parse_args(command[1:])
    assert (command[0], options.command, options.url) == ("cnnviz", "class", "https://cnn.example.org")
    assert "ports" not in services["cnnviz"]  # only the proxy is reached from outside
    proxy = services["proxy"]["command"]
    assert proxy[proxy.index("--to") + 1] == f"cnnviz:{options.port}" and "443:443" in services["proxy"]["ports"]
    server = server_command(ROOT / "app" / "Home.py", options.host, "cnn.example.org", options.port)
    assert "--browser.serverAddress=cnn.example.org" in server  # whose requests app/hosts.py answers
    assert not [word for word in server if "allowedHosts" in word]
