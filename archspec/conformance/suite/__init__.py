"""The tests of any backend; `pytest --archspec-backend NAME` runs them."""
