"""cnnviz: `streamlit run app/Home.py`. The entry point lists the pages and runs the chosen one."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # the pages import `app` and `cnnviz` from here, installed or not
    sys.path.insert(0, str(ROOT))

if __name__ == "__main__":  # drawn for a browser
    import streamlit as st

    from app.shell import frame

    icon = str(ROOT / "assets" / "theme" / "icon.png")
    st.set_page_config(page_title="cnnviz", page_icon=icon, layout="wide", initial_sidebar_state=224)
    frame.run()
elif __name__ != "__mp_main__":  # the server, once; worker processes import the main module too, and need neither
    import os

    # Before torch is loaded: threads that wait for each other within a pass shall sleep, not spin. Spinning takes the
    # cores from whoever has the work; with a browser on the same machine a pass of 20 ms took 800.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    import streamlit as st
    from starlette.middleware import Middleware

    from app import plotly_script
    from app.hosts import HostCheck
    from app.intake import UploadBound
    from app.server import Compressed, lifespan
    from app.views.camera import live_route

    around = [Middleware(HostCheck), Middleware(UploadBound), Middleware(Compressed)]
    own = live_route.routes() + plotly_script.routes()
    server = st.App(__file__, lifespan=lifespan, routes=own, middleware=around)
