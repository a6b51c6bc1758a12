"""The tests that any backend is held to; `pytest --archspec-backend NAME` runs them."""
