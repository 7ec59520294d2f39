"""What a workflow needs, read from its file, and how that stands in an inventory."""
