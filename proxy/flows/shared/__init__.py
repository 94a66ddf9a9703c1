"""Parts that several flows use: callers, cases, and work off the event loop."""
