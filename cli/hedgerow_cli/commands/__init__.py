"""One module per sub-command; what a command does lies elsewhere and is imported when it runs."""
