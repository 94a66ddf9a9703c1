"""GET /app/encounter/{id} (CONTRACT E): the flow and its parts."""
