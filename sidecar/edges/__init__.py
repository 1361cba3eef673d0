"""The doors: each module speaks to one thing outside the process."""
