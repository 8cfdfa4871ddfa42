"""Commands of the first day: looks after this machine, and begins a project."""
