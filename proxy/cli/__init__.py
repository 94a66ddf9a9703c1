"""The command line: one small file per command."""

import click

from proxy import __version__
from proxy.cli.check import check
from proxy.cli.demo import demo
from proxy.cli.healthcheck import healthcheck
from proxy.cli.init import init
from proxy.cli.routes import routes
from proxy.cli.sandbox import sandbox
from proxy.cli.serve import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Answers the obsolete michiQ API from Llamalitica's new API and LlamaChat."""


for command in (init, check, routes, serve, demo, sandbox, healthcheck):
    main.add_command(command)
