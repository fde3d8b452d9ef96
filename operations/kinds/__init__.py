"""The kinds of this installation, one Django app per folder; CONTRIBUTING.md has the checklist for a new one."""
