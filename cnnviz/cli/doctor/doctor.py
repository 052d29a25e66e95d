"""Say whether everything works here: packages, devices, files, folders, plugins, bundled networks.

Every package that is needed is imported, every folder written to, every bundled network asked for an answer that is
known. The exit code is 1 if anything is broken; what is optional and missing is no fault. --json: the same for
programs, {"works": true, "checks": [{"part", "name", "state", "text"}]}, state being works, note or broken."""

import argparse
from collections.abc import Callable, Iterator

from cnnviz.cli.common import add_json, print_json
from cnnviz.cli.doctor import checks
from cnnviz.cli.doctor.checks import BROKEN, Check
from cnnviz.errors import CnnvizError

PARTS: dict[str, Callable[[], Iterator[Check]]] = {
    "Versions": checks.check_versions,
    "Devices": checks.check_devices,
    "Files": checks.check_files,
    "Folders": checks.check_folders,
    "Offline": checks.check_offline,
    "Plugins": checks.check_plugins,
    "App": checks.check_address,
    "Bundled networks": checks.check_networks,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_json(parser, "the findings")


def run(options: argparse.Namespace) -> None:
    """Print the report; a part that is broken is named and the others go on. Raises CnnvizError at the end if anything
    is broken."""
    found: list[tuple[str, Check]] = []
    for title, part in PARTS.items():
        if not options.json:
            print(title)
        for finding in _try(part):
            found.append((title, finding))
            if not options.json:
                said = f"broken: {finding.text}" if finding.state == BROKEN else finding.text
                print(f"  {finding.name:18} {said}", flush=True)
    broken = list(dict.fromkeys(title for title, finding in found if finding.state == BROKEN))
    if options.json:
        rows = [{"part": title, "name": f.name, "state": f.state, "text": f.text} for title, f in found]
        print_json({"works": not broken, "checks": rows})
    elif not broken:
        print("Everything works.")
    if broken:
        raise CnnvizError(f"Broken: {', '.join(broken)}.")


def _try(part: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The findings of a part, the last of which may be that it broke off."""
    try:
        yield from part()
    except (Exception, SystemExit) as error:
        kind = "" if isinstance(error, CnnvizError) else f"{type(error).__name__}: "
        yield Check(getattr(part, "__name__", "check").removeprefix("check_"), BROKEN, f"{kind}{error}")
