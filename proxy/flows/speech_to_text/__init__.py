"""POST /michiQ/speechToText/{id} (CONTRACT S): the flow and its parts."""
