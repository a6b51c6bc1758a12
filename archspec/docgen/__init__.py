"""Reference pages, generated from declarations: ops, backends, the backend API, error codes."""
