"""Used by all packages: output folders and files, caches, options, templates and YAML."""
