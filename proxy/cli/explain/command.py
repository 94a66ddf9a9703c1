"""`michiq-proxy explain`: shows the trace of one request, from its arrival to its shadow's result."""

import click

from proxy.cli.common import Failure, no_collections, read_settings


@click.command()
@click.argument("request_id", metavar="REQUEST-ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def explain(request_id: str, *, as_json: bool) -> None:
    """Show what happened to a request: who answered it and why, which calls went out, what came back.

    REQUEST-ID is the answer's X-Request-ID, as in the log or in `requests`. The last 5,000 answers of a week
    and 20,000 failures of 30 days are stored, without anything about a patient. Users and organizations
    appear as the hashes of the log.
    """
    with no_collections():
        from proxy.cli.shared.console import moment, show, steps
        from proxy.cli.shared.store_access import echo_json, with_store
        from proxy.rollout.explain.sentences import is_comparison, sentences
        from proxy.times import rfc3339

    stories = with_store(read_settings(), lambda store: store.stories.of(request_id))
    if not stories:
        raise Failure(f"{request_id} is not among the stored requests")
    if as_json:
        echo_json(
            [{"request_id": each.request_id, "at": rfc3339(each.at), "story": each.story} for each in stories]
        )
        return
    for each in stories:
        what = "compared" if is_comparison(each) else "answered"
        show(f"{each.request_id}, {what} at {moment(each.at)}", steps(sentences(each)))
