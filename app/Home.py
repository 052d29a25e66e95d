"""cnnviz: `streamlit run app/Home.py`. The entry point lists the pages and runs the chosen one."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # the pages import `app` and `cnnviz` from here, installed or not
    sys.path.insert(0, str(ROOT))

if __name__ == "__main__":  # worker processes import the main module again, and must not draw pages
    import streamlit as st

    from app import shell

    st.set_page_config(page_title="cnnviz", page_icon=str(ROOT / "assets" / "theme" / "icon.png"), layout="wide")
    shell.run()
