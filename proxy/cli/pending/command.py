"""`michiq-proxy pending`: lists the calls whose outcome is unknown, and closes them."""

import click

from proxy.cli.common import Misuse, no_collections


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.pass_context
def pending(context: click.Context, *, as_json: bool) -> None:
    """List the calls of which nobody knows whether they made a case, or close one.

    None of them is ever sent again.
    """
    if context.invoked_subcommand is None:
        with no_collections():
            from proxy.cli.pending import run
        run.show_all(as_json=as_json)


@pending.command()
@click.argument("call_id", metavar="ID")
@click.option("--made", metavar="CASE", help="The call made this case; look for it on the platform.")
@click.option("--not-made", is_flag=True, help="The platform has no case of this call.")
@click.option("--reason", required=True, help="The reason. The audit keeps it for good: name nobody.")
@click.option("--actor", help="The operator; default: the user of this machine.")
def resolve(call_id: str, made: str | None, *, not_made: bool, reason: str, actor: str | None) -> None:
    """Take a call off the list, by what you found out on the platform.

    ID is the first column of the list; with a case's id, all its linked cases are closed. Nothing is sent,
    and no client is given the case. A repeat with the same Idempotency-Key is refused as before. A call can
    be closed once.
    """
    if (made is None) is not not_made:
        raise Misuse("say --made CASE or --not-made")
    with no_collections():
        from proxy.cli.pending import run
    run.resolve(call_id, made, reason=reason, actor=actor)
