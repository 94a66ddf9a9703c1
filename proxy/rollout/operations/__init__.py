"""Gathers what operators look at, for the page, the admin API and the commands alike."""
