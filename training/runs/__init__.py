"""The working folder of a run, its processes and its progress bars."""
