"""GET /michiQ/encounters (CONTRACT L): the flow and its parts."""
