"""A kit that holds any backend to the reference: random fields, inputs and specs, and comparisons that raise.

It needs hypothesis, and draws from the ops' own declarations: a new op is reached without a change here.
"""
