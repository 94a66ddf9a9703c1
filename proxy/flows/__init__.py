"""The flows, one file per legacy route: the order of its calls and of its writes."""
