"""Versions that leave a registry and come to one: single files, bills of materials, the Hugging Face Hub, MLflow."""
