"""What all packages use: output folders, caches, HTML, YAML and lazy names."""
