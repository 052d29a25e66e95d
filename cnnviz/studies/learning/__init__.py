"""What networks learn, and how: measured over trainings of their own."""
