"""Runs `michiq-proxy` as `python -m proxy`."""

from proxy.cli import main

main()
