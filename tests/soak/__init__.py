"""The full figures: each part runs the real thing at full size and says whether its goals are met."""
