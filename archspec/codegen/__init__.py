"""What emitters of Python source share: from a graph to classes or functions, their parameters and their calls.

`parts` folds a graph's flat list into parts within parts, `classes` finds the scopes that one piece of source can stand
for, `build` settles the words of every call; what a framework has of its own comes in a `Dialect`.
"""
