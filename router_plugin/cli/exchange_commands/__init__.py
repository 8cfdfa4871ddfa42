"""The commands of ``domain-router models`` that sign versions, and move them between registries."""
