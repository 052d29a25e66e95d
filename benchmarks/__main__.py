"""Run all benchmarks, or the ones named: `python -m benchmarks exactness app_speed`."""

import sys
from importlib import import_module

NAMES = (
    "exactness",
    "index_speed",
    "index_batches",
    "index_precision",
    "index_rival",
    "index_memory",
    "index_faults",
    "app_speed",
    "click_path",
    "wall_speed",
    "atlas_speed",
    "landscape_speed",
    "landscape_preview",
    "landscape_story",
    "shift_speed",
    "class_load",
    "camera_speed",
    "consistency",
)

for name in sys.argv[1:] or NAMES:
    if name not in NAMES:
        sys.exit(f"No benchmark {name!r}. There are: {', '.join(NAMES)}.")
    print(f"\n## {name}", flush=True)
    import_module(f"benchmarks.{name}").main()
