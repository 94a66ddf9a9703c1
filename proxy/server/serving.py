"""The state of a process that serves: whether it takes new requests, and how many beside it do."""


class Serving:
    """The state of serving. `accepting` is false as soon as this process begins to end.

    `workers` processes serve side by side, and `ready` of them do now, including this one. `held` is the
    reason why the retention is on hold, if it is.
    """

    def __init__(self) -> None:
        self.accepting = True
        self.ready, self.workers = 1, 1
        self.held: str | None = None

    def stop(self) -> None:
        self.accepting = False
