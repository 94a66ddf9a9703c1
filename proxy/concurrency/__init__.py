"""asyncio's tools as the proxy needs them: tasks that are seen to their end, keyed locks, timers."""
