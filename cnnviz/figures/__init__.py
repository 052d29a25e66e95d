"""Pictures from results: palette PNG mosaics and overlays. No torch is imported here."""
