"""MLflow, in an environment of its own, takes a version into its registry: ``make test-hosts``."""
