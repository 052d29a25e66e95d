"""Motion: what a view steps through is played, stopped and stepped."""
