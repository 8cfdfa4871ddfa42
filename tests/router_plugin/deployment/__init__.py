"""Tests of the deployment on Ray Serve."""
