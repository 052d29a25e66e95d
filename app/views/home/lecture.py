"""What a lecture wants, fetched by one click on Home: weights and photographs, with what is here already."""

import streamlit as st

from app import access
from app.jobs import download
from app.markdown import escape_markdown


def draw() -> None:
    """The box: what is here, what is missing with size, source and place, the button, and progress."""
    from cnnviz.models.catalogue.downloads import lecture_downloads

    offered = lecture_downloads()
    missing = [one for one in offered if not one.is_here()]
    here = ", ".join(one.title for one in offered if one not in missing)
    if not missing:
        st.caption(f":material/check: For a lecture, all is here: {here}.")
        return
    with st.container(border=True, gap="small"):
        names = ", ".join(f"{one.title} ({one.size_text})" for one in missing)
        hosts = " and ".join(dict.fromkeys(one.source for one in missing))
        st.markdown(
            f":material/school: **For a lecture:** {names} from {hosts}{_name_folders(missing)}. "
            + (f"Here already: {here}." if here else "None of it is here yet.")
        )
        if download.show_running("lecture", missing):
            return
        for one in missing:
            if failure := download.describe_failure(one):
                st.error(escape_markdown(failure), icon=":material/cloud_off:")
        total = sum(one.size_bytes for one in missing)
        download.offer_start("lecture", missing, f"Download {total / 1e6:,.0f} MB")


def _name_folders(missing: list) -> str:
    if not access.may_see_the_disk():
        return ""
    folders = dict.fromkeys(one.place if one.kind == "data" else one.place.parent for one in missing)
    return ", kept in " + " and ".join(f"`{folder}`" for folder in folders)
