"""Tests of training.splitting."""
