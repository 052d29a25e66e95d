"""Figures from results: PNG mosaics, SVG scenes, Plotly figures, notebook HTML. No torch is imported here."""
