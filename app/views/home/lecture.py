"""What a lecture wants, fetched by one click on Home: weights and photographs, with what is here already."""

import streamlit as st

from app import access
from app.jobs import download
from app.markdown import as_literal, escape_markdown


def draw() -> None:
    """The box: what is here, what is missing with size, source and place, the button, and progress. Nothing for those
    who may not start it."""
    if not access.may_start():
        return
    from cnnviz.models.catalogue.downloads import lecture_downloads

    offered = lecture_downloads()
    missing = [one for one in offered if not one.is_here()]
    here = ", ".join(one.title for one in offered if one not in missing)
    if not missing:
        st.caption(f":material/check: For a lecture, all is here: {here}.")
        return
    with st.container(border=True, gap="small"):
        st.markdown(
            f":material/school: **For a lecture: {', '.join(as_literal(one.title) for one in missing)}.** "
            f"{download.describe_source(missing)}. {f'Here already: {here}.' if here else 'None of it is here yet.'}"
        )
        if download.show_running("lecture", missing):
            return
        for one in missing:
            if failure := download.describe_failure(one):
                st.error(escape_markdown(failure), icon=":material/cloud_off:")
        total = sum(one.size_bytes for one in missing)
        download.offer_start("lecture", missing, f"Download {total / 1e6:,.0f} MB")
