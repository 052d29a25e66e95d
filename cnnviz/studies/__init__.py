"""Studies: questions about networks that need several probes, passes or networks."""
