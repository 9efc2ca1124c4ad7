"""The API of the sandbox: operations, queries, pages, reports, limits and errors, as Klaviyo has them."""
