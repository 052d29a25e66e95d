"""cnnviz: `streamlit run app/Home.py`. The entry point lists the pages and runs the chosen one."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # the pages import `app` and `cnnviz` from here, installed or not
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from app import shell  # noqa: E402

st.set_page_config(page_title="cnnviz", page_icon=str(ROOT / "assets" / "theme" / "icon.png"), layout="wide")
shell.run()
