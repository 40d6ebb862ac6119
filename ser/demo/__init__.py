"""A generated corpus to try everything without a download: a demonstration, not evidence."""
