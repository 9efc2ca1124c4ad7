"""The report: an HTML page of what a period brought, its figures apart from how they look."""
