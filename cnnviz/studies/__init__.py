"""What is told about networks beyond one probe: anatomy, history."""
