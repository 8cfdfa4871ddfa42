"""The console: pages for people under ``/console``, beside the API for programs."""
