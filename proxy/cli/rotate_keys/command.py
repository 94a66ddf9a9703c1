"""`michiq-proxy rotate-keys`: encrypts everything in the store again, with the newest of the keys."""

import click

from proxy.cli.common import no_collections


@click.command()
@click.option("--check", is_flag=True, help="Only show how much is left; write nothing.")
@click.option("--force", is_flag=True, help="Run even if a live process lacks the new key and will fail.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout; progress goes to stderr.")
@click.pass_context
def rotate_keys(context: click.Context, *, check: bool, force: bool, as_json: bool) -> None:
    """Encrypt everything in the store again, with the first key of MICHIQ_SECRET_KEYS.

    First give all processes the new key, before the old one: MICHIQ_SECRET_KEYS=new,old. Then run this
    command while they serve; it refuses while a live process lacks the new key. A run that was cut short goes
    on where it stopped. After exit code 0, the old key can be removed from the setting. The blobs need
    nothing: their keys are in the database. At the end the command rewrites the database; for that moment,
    proxies can't write.

    Values that release 0.1.0 encrypted with Fernet count as under an older key. Once none of them is left,
    Fernet is refused.

    Exit code 0: nothing is left under an older key; 1: something is left, or opens with none of the keys; 2:
    wrong usage or settings.
    """
    with no_collections():
        from proxy.cli.rotate_keys.run import run
    if not run(check=check, force=force, as_json=as_json):
        context.exit(1)
