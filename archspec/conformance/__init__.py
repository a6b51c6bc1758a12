"""The conformance kit: it checks any backend against the reference on random specs and inputs.

It needs hypothesis. It draws from the declarations of the ops, so that a new op is covered
without a change here.
"""
