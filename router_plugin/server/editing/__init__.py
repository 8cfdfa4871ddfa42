"""What the console needs to edit routes: their files, and what a change would do."""
