"""POST /michiQ/newCase (CONTRACT N): the flow and its parts."""
