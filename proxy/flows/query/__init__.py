"""POST /michiQ/query/{id} (CONTRACT Q): the flow and its parts."""
