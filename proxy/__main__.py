"""`python -m proxy` is `michiq-proxy`."""

from proxy.cli import main

main()
